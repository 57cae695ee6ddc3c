// output[i0, i1, i2, i3, i4] = input[Σ i · stride]: the axes of a tensor in another order.
//
// output [rest, extent1, extent2, extent3, extent4]; input: addressed by the stride that each axis of the output has in it.
// Neighbouring axes that stay neighbours are joined by the caller, so five are enough. Moves bits, not numbers, so u32 and float32 are alike. 32
// elements a thread, in runs of RUN neighbours along the last axis, whose place is found once: divisions are dear.

const RUN: u32 = 1u; // 4 where extent4 is a multiple of it

struct Params {
  size: u32,
  extent1: u32,
  extent2: u32,
  extent3: u32,
  extent4: u32,
  stride0: u32,
  stride1: u32,
  stride2: u32,
  stride3: u32,
  stride4: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let extents = vec4u(params.extent1, params.extent2, params.extent3, params.extent4);
  let strides = vec4u(params.stride1, params.stride2, params.stride3, params.stride4);
  let stride0 = params.stride0;
  let first = (workgroup.x + workgroup.y * workgroups.x) * 2048u;
  let end = min(first + 2048u, params.size);
  for (var i = first + RUN * thread; i < end; i += RUN * 64u) {
    let row = i / extents.w;
    let slab = row / extents.z;
    let block = slab / extents.y;
    let place = vec4u(block % extents.x, slab % extents.y, row % extents.z, i % extents.w);
    let source = block / extents.x * stride0 + dot(place, strides);
    for (var j = 0u; j < RUN; j++) { // unroll
      output[i + j] = input[source + j * strides.w];
    }
  }
}
