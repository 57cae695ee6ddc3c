// Attention that keeps no weights (Dao 2023, "FlashAttention-2", algorithm 1), per head and query:
//   output = Σ_j w_j · value_j / Σ_j w_j,  w_j = exp(scale · (query · key_j - top)),  top = max_j query · key_j
//
// query       [heads, rows, 4 · depth]
// key         [heads, columns, 4 · depth]
// value       [heads, columns, 4 · width]
// output      [heads, rows, 4 · width]
// statistics  [heads, rows, 2]: top and 1 / Σ w. The log-sum-exp that is usually kept would lose, of a large top, the digits that the sum takes.
//
// A workgroup walks the keys of a head with a tile of its queries (lib/attention.wgsl). What it summed below an earlier maximum is scaled when the maximum
// rises.
// NaN and infinities end as in softmax_forward.

// #include "lib/attention.wgsl"

const LOWEST: f32 = -3.4028234e38;

struct Params {
  rows: u32, // queries
  columns: u32, // keys
  depth: u32, // quads of queries and keys
  width: u32, // quads of values
  scale: f32,
  groups: u32, // workgroups with work
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key: array<vec4f>;
@group(0) @binding(3) var<storage, read> value: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> statistics: array<vec2f>;

var<workgroup> tops: array<vec4f, 64>; // [x, y]

@compute @workgroup_size(8, 8)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let group = workgroup.x + workgroup.y * workgroups.x;
  if (group >= params.groups) {
    return;
  }
  let rows = params.rows;
  let columns = params.columns;
  let depth = params.depth;
  let width = params.width;
  let thread = local.xy;
  let work = work_of(group, rows, width);

  let row_at = (work.head * rows + four_of(work.row0, thread.y, rows)) * depth;
  let quads = min(vec4u(work.quad0 + thread.x) + CHUNK * vec4u(0u, 1u, 2u, 3u), vec4u(width - 1u));

  var top = vec4f(LOWEST);
  var total = vec4f();
  var sums: array<mat4x4f, CHUNKS>; // column i for the row y + 8·i
  for (var column0 = 0u; column0 < columns; column0 += SIDE) {
    let column_at = (work.head * columns + four_of(column0, thread.x, columns)) * depth;
    var scores = mat4x4f();
    for (var q = 0u; q < depth; q++) {
      let quads = mat4x4f(query[row_at[0] + q], query[row_at[1] + q], query[row_at[2] + q], query[row_at[3] + q]);
      for (var j = 0u; j < 4u; j++) { // unroll
        scores[j] += key[column_at[j] + q] * quads;
      }
    }
    var higher = top;
    for (var j = 0u; j < 4u; j++) { // unroll
      higher = max(higher, scores[j]);
    }
    tops[thread.x * 8u + thread.y] = higher;
    workgroupBarrier();
    for (var x = 0u; x < 8u; x++) {
      higher = max(higher, tops[x * 8u + thread.y]);
    }
    let factor = exp(params.scale * (top - higher));
    top = higher;
    for (var j = 0u; j < 4u; j++) { // unroll
      scores[j] = exp(params.scale * (scores[j] - top));
    }
    store_weights(scores, thread);
    workgroupBarrier();
    total *= factor;
    for (var c = 0u; c < CHUNKS; c++) { // unroll
      for (var i = 0u; i < 4u; i++) { // unroll
        sums[c][i] *= factor[i];
      }
    }
    for (var j = 0u; j < min(SIDE, columns - column0); j++) {
      let weights = weight_tile[j * PITCH + thread.y];
      total += weights;
      for (var c = 0u; c < CHUNKS; c++) { // unroll
        let quad = value[(work.head * columns + column0 + j) * width + quads[c]];
        for (var i = 0u; i < 4u; i++) { // unroll
          sums[c][i] += weights[i] * quad;
        }
      }
    }
  }

  let inverse = 1.0 / total;
  for (var i = 0u; i < 4u; i++) { // unroll
    let row = work.row0 + thread.y + i * 8u;
    if (row < rows) {
      let at = work.head * rows + row;
      for (var c = 0u; c < CHUNKS; c++) { // unroll
        let quad = work.quad0 + c * CHUNK + thread.x;
        if (quad < width) {
          output[at * width + quad] = sums[c][i] * inverse[i];
        }
      }
      if (work.quad0 == 0u && thread.x == 0u) {
        statistics[at] = vec2f(top[i], inverse[i]);
      }
    }
  }
}
