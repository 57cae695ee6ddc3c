// output[i] = input[i]
//
// Bindings: input, output f32 [size].
// Work: a group of 64 threads covers 2048 elements, 32 a thread in strides of 64, as add.wgsl does.

struct Params {
  size: u32,
}

const WORKGROUP: u32 = 64u;
const ITEMS: u32 = 32u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let size = params.size;
  let start = (workgroup_id.x + workgroup_id.y * num_workgroups.x) * WORKGROUP * ITEMS + lane;
  for (var i = 0u; i < ITEMS; i++) {
    let index = start + i * WORKGROUP;
    if (index < size) {
      output[index] = input[index];
    }
  }
}
