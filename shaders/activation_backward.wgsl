// input_gradient = output_gradient * activation'(input)
//
// input: of the activation; for sigmoid and exponential its output y, from which their slopes y (1 - y) and y follow; ReLU takes either, and its output is kept
//   by the next operator anyway
// input, output_gradient, input_gradient: flat [size]
// Memory bound: see lib/elements.wgsl.

// #include "lib/activation.wgsl"
// #include "lib/elements.wgsl"

struct Params {
  size: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<vec4f>;

fn gradient(x: vec4f, upstream: vec4f) -> vec4f {
  if (KIND == RELU) {
    // Selected rather than multiplied: 0 * infinity is NaN. Passes where x > 0 or NaN: bit patterns outside 0 and 0x80000000 to 0xff800000.
    let bits = bitcast<vec4u>(x);
    let stops = (bits == vec4u()) | (bits - 0x80000000u <= vec4u(0x7f800000u));
    return select(upstream, vec4f(), stops);
  }
  if (KIND == SIGMOID) {
    return upstream * x * (1.0 - x);
  }
  if (KIND == EXPONENTIAL) {
    return upstream * x;
  }
  if (KIND == GELU) {
    return upstream * gelu_slope(x);
  }
  let s = sigmoid(x);
  return upstream * s * (1.0 + x * (1.0 - s));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let size = params.size;
  let quads = quads_of(workgroup.x + workgroup.y * workgroups.x, size);
  for (var i = quads.x + thread; i < quads.y; i += 64u) {
    input_gradient[i] = trim(gradient(input[i], output_gradient[i]), i, size);
  }
}
