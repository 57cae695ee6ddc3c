// Gradient of one folding stage of a maximum (fold.wgsl): it goes to the term that is the maximum, to the first of equals.
//
// input, input_gradient [rows, total]; output, output_gradient [rows, width]
// One output and its terms a thread, as in the forward stage, so that every term is written once.

// #include "lib/nan.wgsl"

struct Params {
  rows: u32,
  total: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> output: array<f32>;
@group(0) @binding(3) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> input_gradient: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let width = params.width;
  let total = params.total;
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + thread;
  let row = index / width;
  if (row >= params.rows) {
    return;
  }
  let end = (row + 1u) * total;
  let maximum = output[index];
  var gradient = output_gradient[index];
  for (var i = row * total + index % width; i < end; i += width) {
    let term = input[i];
    let found = select(term == maximum, is_nan(term), is_nan(maximum));
    input_gradient[i] = select(0.0, gradient, found);
    gradient = select(gradient, 0.0, found);
  }
}
