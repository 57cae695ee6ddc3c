// input_gradient[r, :] = Σ over m with indices[m] = r of output_gradient[m, :]: rows that were taken more than once collect from each.
//
// indices [m] (u32), output_gradient [m, width], input_gradient [rows, width]
// Every element looks through all indices: no atomics, and a fixed order of the sum. Tables and batches are small.

struct Params {
  size: u32,
  count: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let count = params.count;
  let width = params.width;
  let first = (workgroup.x + workgroup.y * workgroups.x) * 2048u;
  let end = min(first + 2048u, params.size);
  for (var i = first + thread; i < end; i += 64u) {
    let row = i / width;
    let column = i % width;
    var sum = 0.0;
    for (var m = 0u; m < count; m++) {
      if (indices[m] == row) {
        sum += output_gradient[m * width + column];
      }
    }
    input_gradient[i] = sum;
  }
}
