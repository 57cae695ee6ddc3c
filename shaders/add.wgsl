// output = left + right, all of one shape: the residual sum, and the sum of two gradients of one tensor.
//
// left, right, output: flat [size]
// Memory bound: see lib/elements.wgsl.

// #include "lib/elements.wgsl"

struct Params {
  size: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> left: array<vec4f>;
@group(0) @binding(2) var<storage, read> right: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let size = params.size;
  let quads = quads_of(workgroup.x + workgroup.y * workgroups.x, size);
  for (var i = quads.x + thread; i < quads.y; i += 64u) {
    output[i] = trim(left[i] + right[i], i, size);
  }
}
