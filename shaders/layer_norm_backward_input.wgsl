// Gradient of layer normalisation in its input. With x̂ = (input - mean) * inverse, h = output_gradient * scale, and means over the row's channels:
//   input_gradient = inverse * (h - mean(h) - x̂ * mean(h·x̂))
//
// input, output_gradient, input_gradient  [rows, 4 * columns], padding (see layer_norm_forward) with gradient 0
// scale                                   [4 * columns]
// statistics                              [rows, 2]: mean, inverse
//
// Work divided as in layer_norm_forward.

// #include "lib/rows.wgsl"

struct Params {
  columns: u32,
  channels: u32,
  rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read> scale: array<vec4f>;
@group(0) @binding(4) var<storage, read> statistics: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> input_gradient: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = params.columns;
  let row = row_of(workgroup.x + workgroup.y * workgroups.x, thread, params.rows, columns);
  let first = row.start + row.lane;
  let moments = statistics[min(row.start / columns, params.rows - 1u)];
  let mean = moments.x;
  let inverse = moments.y;
  var sum = vec4f();
  var products = vec4f(); // of h and the centred input
  for (var i = first; i < row.end; i += LANES) {
    let gradient = output_gradient[i] * scale[i - row.start];
    sum += gradient;
    products += gradient * (input[i] - mean);
  }
  let channels = f32(params.channels);
  let level = row_sum((sum.x + sum.y) + (sum.z + sum.w), thread) / channels;
  let slope = row_sum((products.x + products.y) + (products.z + products.w), thread) / channels * inverse * inverse;
  for (var i = first; i < row.end; i += LANES) {
    let gradient = output_gradient[i] * scale[i - row.start];
    input_gradient[i] = inverse * (gradient - level - slope * (input[i] - mean));
  }
}
