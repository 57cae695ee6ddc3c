// output[m, :] = input[indices[m], :]: rows of a table, such as embeddings. An index beyond the table gives NaN, which no loss survives unnoticed.
//
// input [rows, width], indices [m] (u32), output [m, width]
// Moves bits, not numbers, so tables of u32 and of float32 are alike. 32 elements a thread, strided by the workgroup.

struct Params {
  size: u32,
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let rows = params.rows;
  let width = params.width;
  let first = (workgroup.x + workgroup.y * workgroups.x) * 2048u;
  let end = min(first + 2048u, params.size);
  for (var i = first + thread; i < end; i += 64u) {
    let row = indices[i / width];
    output[i] = select(0x7fc00000u, input[row * width + i % width], row < rows);
  }
}
