// output = activation(input), element by element
//
// input, output: flat [size]
// Memory bound: see lib/elements.wgsl.

// #include "lib/activation.wgsl"
// #include "lib/elements.wgsl"
// #include "lib/rectify.wgsl"

struct Params {
  size: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

fn activation(x: vec4f) -> vec4f {
  if (KIND == RELU) {
    return rectify(x);
  }
  if (KIND == SIGMOID) {
    return sigmoid(x);
  }
  if (KIND == EXPONENTIAL) {
    return exp(x);
  }
  if (KIND == GELU) {
    return gelu(x);
  }
  return x * sigmoid(x);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let size = params.size;
  let quads = quads_of(workgroup.x + workgroup.y * workgroups.x, size);
  for (var i = quads.x + thread; i < quads.y; i += 64u) {
    output[i] = trim(activation(input[i]), i, size);
  }
}
