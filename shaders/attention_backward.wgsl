// One of the gradients of attention, from weights that are computed once more (Dao 2023, "FlashAttention-2", algorithm 2). With the weights
// P = exp(scale · (query · keyᵀ - top)) · inverse, and the gradient of the scores dS = scale · P ∘ (output_gradient · valueᵀ - mean):
//   query_gradient = dS · key,  key_gradient = dSᵀ · query,  value_gradient = Pᵀ · output_gradient
//
//                       a       u                b      v
//   QUERIES, SLOPES     query   output_gradient  key    value            Σ dS · b
//   SLOPES              key     value            query  output_gradient  Σ dSᵀ · b
//   neither             key     value (unread)   query  output_gradient  Σ Pᵀ · v
//
// a, b        [heads, rows, 4 · depth], [heads, columns, 4 · depth]
// u, v        [heads, rows, 4 · width], [heads, columns, 4 · width]
// statistics  [heads, queries, 2]: top, inverse
// means       [heads, queries]: of the gradients of a query's weights
// gradient    [heads, rows, 4 · depth], or 4 · width without SLOPES
//
// Each gradient has a launch of its own, of one form, and each of its rows one workgroup that sums in a fixed order, where the algorithm adds up query
// gradients atomically. See lib/attention.wgsl.

// #include "lib/attention.wgsl"

const QUERIES: bool = true; // the rows are queries
const SLOPES: bool = true;

struct Params {
  rows: u32,
  columns: u32,
  depth: u32, // quads of a and b
  width: u32, // quads of u and v
  scale: f32,
  groups: u32, // workgroups with work
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> u: array<vec4f>;
@group(0) @binding(3) var<storage, read> b: array<vec4f>;
@group(0) @binding(4) var<storage, read> v: array<vec4f>;
@group(0) @binding(5) var<storage, read> statistics: array<vec2f>;
@group(0) @binding(6) var<storage, read> means: array<f32>;
@group(0) @binding(7) var<storage, read_write> gradient: array<vec4f>;

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
  let quads = select(width, depth, SLOPES);
  let work = work_of(group, rows, quads);
  let first_row = work.head * rows;
  let first_column = work.head * columns;

  let own_rows = first_row + four_of(work.row0, thread.y, rows);
  let own_quads = min(vec4u(work.quad0 + thread.x) + CHUNK * vec4u(0u, 1u, 2u, 3u), vec4u(quads - 1u));

  var sums: array<mat4x4f, CHUNKS>; // column i for the row y + 8·i
  for (var column0 = 0u; column0 < columns; column0 += SIDE) {
    let own_columns = first_column + four_of(column0, thread.x, columns);
    var scores = mat4x4f();
    for (var q = 0u; q < depth; q++) {
      let at = own_rows * depth + q;
      let quads = mat4x4f(a[at[0]], a[at[1]], a[at[2]], a[at[3]]);
      for (var j = 0u; j < 4u; j++) { // unroll
        scores[j] += b[own_columns[j] * depth + q] * quads;
      }
    }
    var slopes = mat4x4f();
    if (SLOPES) {
      for (var q = 0u; q < width; q++) {
        let at = own_rows * width + q;
        let quads = mat4x4f(u[at[0]], u[at[1]], u[at[2]], u[at[3]]);
        for (var j = 0u; j < 4u; j++) { // unroll
          slopes[j] += v[own_columns[j] * width + q] * quads;
        }
      }
    }
    let queries = select(own_columns, own_rows, QUERIES);
    var known: mat4x2f;
    var mean: vec4f;
    for (var i = 0u; i < 4u; i++) { // unroll
      known[i] = statistics[queries[i]];
      if (SLOPES) {
        mean[i] = means[queries[i]];
      }
    }
    let tops = transpose(known)[0];
    let inverses = transpose(known)[1];
    for (var j = 0u; j < 4u; j++) { // unroll
      let top = select(vec4f(tops[j]), tops, QUERIES);
      let inverse = select(vec4f(inverses[j]), inverses, QUERIES);
      scores[j] = exp(params.scale * (scores[j] - top)) * inverse;
      if (SLOPES) {
        scores[j] *= params.scale * (slopes[j] - select(vec4f(mean[j]), mean, QUERIES));
      }
    }
    workgroupBarrier();
    store_weights(scores, thread);
    workgroupBarrier();
    for (var j = 0u; j < min(SIDE, columns - column0); j++) {
      let weights = weight_tile[j * PITCH + thread.y];
      for (var c = 0u; c < CHUNKS; c++) { // unroll
        let at = (first_column + column0 + j) * quads + own_quads[c];
        var quad: vec4f;
        if (SLOPES) {
          quad = b[at];
        } else {
          quad = v[at];
        }
        for (var i = 0u; i < 4u; i++) { // unroll
          sums[c][i] += weights[i] * quad;
        }
      }
    }
  }

  for (var i = 0u; i < 4u; i++) { // unroll
    let row = work.row0 + thread.y + i * 8u;
    for (var c = 0u; c < CHUNKS; c++) { // unroll
      let quad = work.quad0 + c * CHUNK + thread.x;
      if (row < rows && quad < quads) {
        gradient[(first_row + row) * quads + quad] = sums[c][i];
      }
    }
  }
}
