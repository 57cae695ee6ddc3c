// Sums over the rows of several tables [rows, columns] that lie in one buffer, each to its own place in another:
//   sums[at + column] = Σ_row partials[first + row·columns + column]
//
// partials  the tables, row after row
// tables    [count, 5] of the first thread that sums the table, first, rows, columns, at
// sums      anything between the places stays as it is
//
// A thread sums COLUMNS neighbouring columns of one table.

const COLUMNS: u32 = 1u; // a divisor of the columns of each table

struct Params {
  count: u32,
  threads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read> tables: array<u32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let thread = (workgroup_id.x + workgroup_id.y * num_workgroups.x) * 64u + local;
  if (thread >= params.threads) {
    return;
  }
  var table = 0u;
  while (table + 1u < params.count && tables[5u * (table + 1u)] <= thread) {
    table++;
  }
  let column = (thread - tables[5u * table]) * COLUMNS;
  let rows = tables[5u * table + 2u];
  let columns = tables[5u * table + 3u];
  var at = tables[5u * table + 1u] + column;
  var sum: array<f32, COLUMNS>;
  for (var row = 0u; row < rows; row++) {
    for (var c = 0u; c < COLUMNS; c++) { // unroll
      sum[c] += partials[at + c];
    }
    at += columns;
  }
  let place = tables[5u * table + 4u] + column;
  for (var c = 0u; c < COLUMNS; c++) { // unroll
    sums[place + c] = sum[c];
  }
}
