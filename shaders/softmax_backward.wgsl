// Gradient of softmax over rows, p the probabilities and g the output's gradient:
//   input_gradient = p * (g - Σ g p);        LOG: input_gradient = g - p * Σ g
//
// output: what the forward kernel gave, p or with LOG log p; output, output_gradient, input_gradient: [rows, length]
// Two passes over a row that stays in cache; see lib/rows.wgsl for how threads share it.

// #include "lib/rows.wgsl"

const LOG: bool = false;

struct Params {
  rows: u32,
  length: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output: array<f32>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = row_of(workgroup.x + workgroup.y * workgroups.x, thread, params.rows, params.length);
  let first = row.start + row.lane;
  var sum = 0.0;
  for (var i = first; i < row.end; i += LANES) {
    sum += select(output_gradient[i] * output[i], output_gradient[i], LOG);
  }
  sum = row_sum(sum, thread);
  for (var i = first; i < row.end; i += LANES) {
    let value = output[i];
    let gradient = output_gradient[i];
    input_gradient[i] = select(value * (gradient - sum), gradient - exp(value) * sum, LOG);
  }
}
