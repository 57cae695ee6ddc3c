// Matrix product of any sizes on any adapter, optionally batched and split along K:
//   output[s, batch, m, n] = Σ_{k in split s} a[batch, m, k] · b[batch, k, n]  (+ bias[n] in split 0)
//
// a       [batch or 1, M, K] or, by its strides, [batch or 1, K, M]
// b       [batch or 1, K, N] or, by its strides, [batch or 1, N, K]
// bias    [N]; any tensor where has_bias is 0
// output  [splits, batch, M, output_pitch], of which N columns are written
//
// A thread computes ROWS × COLUMNS outputs in registers, so that every value loaded is used four times. matmul.wgsl does the same work faster where
// the adapter and the sizes suit it.

const ROWS: u32 = 4u;
const COLUMNS: u32 = 4u;

struct Params {
  rows: u32, // M
  columns: u32, // N
  depth: u32, // K
  depth_per_split: u32,
  batch: u32,
  tiles: u32, // threads with work: row tiles · column tiles · batch · splits
  a_row_stride: u32, // elements from one m to the next
  a_depth_stride: u32, // and from one k to the next
  a_batch_stride: u32, // 0 for one matrix shared by all
  b_depth_stride: u32,
  b_column_stride: u32,
  b_batch_stride: u32,
  output_pitch: u32, // elements from one row of the output to the next
  has_bias: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let thread = (workgroup_id.x + workgroup_id.y * num_workgroups.x) * 64u + local;
  if (thread >= params.tiles) {
    return;
  }
  let rows = params.rows;
  let columns = params.columns;
  let a_depth_stride = params.a_depth_stride;
  let b_depth_stride = params.b_depth_stride;
  let row_tiles = (rows + ROWS - 1u) / ROWS;
  let column_tiles = (columns + COLUMNS - 1u) / COLUMNS;
  let column0 = thread % column_tiles * COLUMNS;
  let row0 = thread / column_tiles % row_tiles * ROWS;
  let matrix = thread / (column_tiles * row_tiles);
  let split = matrix / params.batch;
  let batch = matrix % params.batch;
  let k_begin = split * params.depth_per_split;
  let k_end = min(k_begin + params.depth_per_split, params.depth);

  var a_at: array<u32, ROWS>;
  for (var row = 0u; row < ROWS; row++) { // unroll
    a_at[row] = batch * params.a_batch_stride + min(row0 + row, rows - 1u) * params.a_row_stride + k_begin * a_depth_stride;
  }
  var b_at: array<u32, COLUMNS>;
  for (var column = 0u; column < COLUMNS; column++) { // unroll
    b_at[column] = batch * params.b_batch_stride + min(column0 + column, columns - 1u) * params.b_column_stride + k_begin * b_depth_stride;
  }

  var sum: array<f32, ROWS * COLUMNS>;
  for (var k = k_begin; k < k_end; k++) {
    var b_values: array<f32, COLUMNS>;
    for (var column = 0u; column < COLUMNS; column++) { // unroll
      b_values[column] = b[b_at[column]];
      b_at[column] += b_depth_stride;
    }
    for (var row = 0u; row < ROWS; row++) { // unroll
      let a_value = a[a_at[row]];
      a_at[row] += a_depth_stride;
      for (var column = 0u; column < COLUMNS; column++) { // unroll
        sum[row * COLUMNS + column] += a_value * b_values[column];
      }
    }
  }

  let has_bias = params.has_bias != 0u && split == 0u;
  for (var column = 0u; column < COLUMNS; column++) { // unroll
    if (column0 + column < columns) {
      var offset = 0.0;
      if (has_bias) {
        offset = bias[column0 + column];
      }
      for (var row = 0u; row < ROWS; row++) { // unroll
        if (row0 + row < rows) {
          output[(matrix * rows + row0 + row) * params.output_pitch + column0 + column] = sum[row * COLUMNS + column] + offset;
        }
      }
    }
  }
}
