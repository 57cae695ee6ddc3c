// table[rows[n], :] = values[n, :]
//
// values [batch, width]; rows u32 [batch], all different; table [count, width]
// 32 elements a thread, strided by the workgroup.

struct Params {
  size: u32, // of values
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> table: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let width = params.width;
  let first = (workgroup.x + workgroup.y * workgroups.x) * 2048u;
  let end = min(first + 2048u, params.size);
  for (var i = first + thread; i < end; i += 64u) {
    table[rows[i / width] * width + i % width] = values[i];
  }
}
