// Matrix product, optionally batched and split along K:
//   output[s, batch, m, n] = Σ_{k in split s} a[batch, m, k] · b[batch, k, n]  (+ bias[n] in split 0)
//
// a       [batch or 1, M, K], or [batch or 1, K, M] with TRANSPOSE_A
// b       [batch or 1, K, N], or [batch or 1, N, K] with TRANSPOSE_B
// bias    [N]; any tensor where has_bias is 0
// output  [splits, batch, M, output_pitch], of which N columns are written
//
// One subgroup computes ROWS × 4·SUBGROUP outputs as a sum of outer products. A lane owns four neighbouring columns and keeps their ROWS sums in
// registers; the values of a are loaded once across the lanes and handed round by shuffles from literal lanes, which cost next to nothing
// where a load from a buffer is dear. No workgroup memory, no barriers. All loads are vec4: the rows of a and b, as they lie in memory, are a
// multiple of 4 long (K for a, N for b; with transposition M for a, K for b). Those of a may be filled up to a_pitch, with zeros where they run along K.
// Of the other axis any length will do, as in the output, which is stored number by number.
enable subgroups;

const SUBGROUP: u32 = 8u; // lanes of a subgroup, the same for every launch on the adapter
const ROWS: u32 = 24u; // a multiple of SUBGROUP and of 4
const TRANSPOSE_A: bool = false;
const TRANSPOSE_B: bool = false;

struct Params {
  rows: u32, // M
  columns: u32, // N
  depth: u32, // K
  depth_per_split: u32, // a multiple of 4
  batch: u32,
  groups: u32, // workgroups with work: row tiles · column tiles · batch · splits
  a_pitch: u32, // elements from one row of a to the next
  output_pitch: u32,
  a_batch_stride: u32, // elements from one matrix of a batch to the next, 0 for one matrix shared by all
  b_batch_stride: u32,
  has_bias: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

const A_QUADS = ROWS / SUBGROUP; // vec4 of a that a lane loads for four k

@compute @workgroup_size(SUBGROUP)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let group = workgroup_id.x + workgroup_id.y * num_workgroups.x;
  if (group >= params.groups) {
    return;
  }
  let rows = params.rows;
  let depth = params.depth;
  let columns = params.columns;
  let column_quads = (columns + 3u) / 4u;
  let a_quads = params.a_pitch / 4u;
  let row_tiles = (rows + ROWS - 1u) / ROWS;
  let column_tiles = (column_quads + SUBGROUP - 1u) / SUBGROUP;

  // Column tiles of the same rows are neighbours, so that their a is still in a cache.
  let matrix = group / (row_tiles * column_tiles);
  let row0 = (group / column_tiles) % row_tiles * ROWS;
  let quad = group % column_tiles * SUBGROUP + lane; // this lane's four columns
  let split = matrix / params.batch;
  let batch = matrix % params.batch;
  let k_begin = split * params.depth_per_split;
  let k_end = min(k_begin + params.depth_per_split, depth);

  // Where this lane's loads begin, in vec4, and how far one step of four k moves them.
  var a_at: array<u32, A_QUADS>;
  let a_step = select(1u, params.a_pitch, TRANSPOSE_A);
  for (var j = 0u; j < A_QUADS; j++) { // unroll
    let q = j * SUBGROUP + lane;
    let along_k = min(row0 + q, rows - 1u) * a_quads + k_begin / 4u;
    let along_rows = (k_begin + q / (ROWS / 4u)) * a_quads + min(row0 / 4u + q % (ROWS / 4u), a_quads - 1u);
    a_at[j] = batch * (params.a_batch_stride / 4u) + select(along_k, along_rows, TRANSPOSE_A);
  }
  var b_at: array<u32, 4>;
  let b_step = select(columns, 1u, TRANSPOSE_B);
  for (var i = 0u; i < 4u; i++) { // unroll
    let along_k = min(4u * quad + i, columns - 1u) * (depth / 4u) + k_begin / 4u;
    let along_columns = (k_begin + i) * column_quads + min(quad, column_quads - 1u);
    b_at[i] = batch * (params.b_batch_stride / 4u) + select(along_columns, along_k, TRANSPOSE_B);
  }

  var sum: array<vec4f, ROWS>;
  for (var k = k_begin; k < k_end; k += 4u) {
    var a_values: array<vec4f, A_QUADS>;
    for (var j = 0u; j < A_QUADS; j++) { // unroll
      a_values[j] = a[a_at[j]];
      if (TRANSPOSE_A) {
        let inside = k + (j * SUBGROUP + lane) / (ROWS / 4u) < k_end;
        a_values[j] = select(vec4f(), a_values[j], inside);
      }
      a_at[j] += a_step;
    }

    var b_values: array<vec4f, 4>;
    for (var i = 0u; i < 4u; i++) { // unroll
      b_values[i] = b[b_at[i]];
      b_at[i] += b_step;
      if (!TRANSPOSE_B) {
        b_values[i] = select(vec4f(), b_values[i], k + i < k_end);
      }
    }
    if (TRANSPOSE_B) {
      let transposed = transpose(mat4x4f(b_values[0], b_values[1], b_values[2], b_values[3]));
      for (var i = 0u; i < 4u; i++) { // unroll
        b_values[i] = transposed[i];
      }
    }

    // The quad q of a holds its element [row, k + i]; lane q % SUBGROUP has loaded it. Chosen by select, as WGSL analyses the two sides of every branch.
    for (var row = 0u; row < ROWS; row++) { // unroll
      for (var i = 0u; i < 4u; i++) { // unroll
        let q = select(row, i * (ROWS / 4u) + row / 4u, TRANSPOSE_A);
        sum[row] += subgroupShuffle(a_values[q / SUBGROUP][select(i, row % 4u, TRANSPOSE_A)], q % SUBGROUP) * b_values[i];
      }
    }
  }

  // A copy with a running index: written out, the stores would double the time that a driver takes to compile.
  var tile: array<vec4f, ROWS>;
  for (var row = 0u; row < ROWS; row++) { // unroll
    tile[row] = sum[row];
  }
  let has_bias = params.has_bias != 0u && split == 0u;
  let row_end = min(row0 + ROWS, rows);
  for (var i = 0u; i < 4u; i++) { // unroll
    let column = 4u * quad + i;
    if (column < columns) {
      var offset = 0.0;
      if (has_bias) {
        offset = bias[column];
      }
      for (var row = row0; row < row_end; row++) {
        output[(matrix * rows + row) * params.output_pitch + column] = tile[row - row0][i] + offset;
      }
    }
  }
}
