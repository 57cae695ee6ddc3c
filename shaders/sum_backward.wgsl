// input_gradient[row, l, k] = factor * output_gradient[row, k]: the gradient of a sum over the middle axis, in every term the same.
//
// output_gradient [rows, inner], input_gradient [rows, total], where total = length * inner
// Written once, read from cache: 32 elements a thread, strided by the workgroup.

struct Params {
  size: u32,
  total: u32,
  inner: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> input_gradient: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let total = params.total;
  let inner = params.inner;
  let factor = params.factor;
  let first = (workgroup.x + workgroup.y * workgroups.x) * 2048u;
  let end = min(first + 2048u, params.size);
  for (var i = first + thread; i < end; i += 64u) {
    input_gradient[i] = factor * output_gradient[i / total * inner + i % inner];
  }
}
