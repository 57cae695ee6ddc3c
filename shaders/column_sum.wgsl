// Sums of columns in chunks of rows:
//   output[chunk, column] = Σ_{row in chunk} input[row, column]
//
// input   [rows, columns]
// output  [chunks, columns]; with one chunk, the sums themselves
//
// Long sums are taken in two launches, the chunks' sums being the rows of the second: the same order on every run, and an error that grows with the
// square root of the rows. A thread sums COLUMNS neighbouring columns of one chunk, neighbours in memory going to neighbouring threads.

const COLUMNS: u32 = 1u; // a divisor of the columns

struct Params {
  rows: u32,
  columns: u32,
  rows_per_chunk: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let thread = (workgroup_id.x + workgroup_id.y * num_workgroups.x) * 64u + local;
  let columns = params.columns;
  let chunk = thread / (columns / COLUMNS);
  let first_row = chunk * params.rows_per_chunk;
  if (first_row >= params.rows) {
    return;
  }
  let row_count = min(params.rows_per_chunk, params.rows - first_row);
  var at = first_row * columns + thread % (columns / COLUMNS) * COLUMNS;
  var sum: array<f32, COLUMNS>;
  for (var c = 0u; c < COLUMNS; c++) { // unroll
    sum[c] = input[at + c];
  }
  for (var row = 1u; row < row_count; row++) {
    at += columns;
    for (var c = 0u; c < COLUMNS; c++) { // unroll
      sum[c] += input[at + c];
    }
  }
  for (var c = 0u; c < COLUMNS; c++) { // unroll
    output[thread * COLUMNS + c] = sum[c];
  }
}
