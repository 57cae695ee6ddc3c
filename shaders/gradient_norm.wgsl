// First stage of the global norm of the gradients: partials[group] = sum of g² over the group's 16,384 gradients.
//
// gradients: flat [4 * quads]; partials: [groups]. Every sum has a fixed order (thread by thread, then a tree over the group), so equal
// gradients give equal bits. A thread sums 64 vec4 strided by the workgroup, which makes the tree's barriers a small share of the time.

struct Params {
  quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let group = workgroup.x + workgroup.y * workgroups.x;
  let first = group * 4096u;
  let end = min(first + 4096u, params.quads);
  var sum = vec4f();
  for (var i = first + thread; i < end; i += 64u) {
    let gradient = gradients[i];
    sum += gradient * gradient;
  }
  sums[thread] = (sum.x + sum.y) + (sum.z + sum.w);
  for (var width = 32u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (thread < width) {
      sums[thread] += sums[thread + width];
    }
  }
  if (thread == 0u && first < end) {
    partials[group] = sums[0];
  }
}
