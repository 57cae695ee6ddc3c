// output = left (operation) right, the operands repeated along the axes where they have one element.
//
// output: [rest, extent1, extent2, extent3]; left, right: addressed by one stride per axis, 0 where the operand is repeated.
// OPERATION: 0 add, 1 subtract, 2 multiply, 3 divide.
// Neighbouring axes that both operands treat alike are joined by the caller, so four are enough. 32 elements a thread, strided by the workgroup.

const OPERATION: u32 = 0u;
const ONE_AXIS: bool = false; // where all are joined: nothing is to be divided, which is dear

struct Params {
  size: u32,
  extent1: u32,
  extent2: u32,
  extent3: u32,
  left0: u32,
  left1: u32,
  left2: u32,
  left3: u32,
  right0: u32,
  right1: u32,
  right2: u32,
  right3: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> left: array<f32>;
@group(0) @binding(2) var<storage, read> right: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

fn combine(a: f32, b: f32) -> f32 {
  switch (OPERATION) {
    case 0u: { return a + b; }
    case 1u: { return a - b; }
    case 2u: { return a * b; }
    default: { return a / b; }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let extents = vec3u(params.extent1, params.extent2, params.extent3);
  let left_strides = vec4u(params.left0, params.left1, params.left2, params.left3);
  let right_strides = vec4u(params.right0, params.right1, params.right2, params.right3);
  let first = (workgroup.x + workgroup.y * workgroups.x) * 2048u;
  let end = min(first + 2048u, params.size);
  for (var i = first + thread; i < end; i += 64u) {
    var place = vec4u(0u, 0u, 0u, i);
    if (!ONE_AXIS) {
      let row = i / extents.z;
      let slab = row / extents.y;
      place = vec4u(slab / extents.x, slab % extents.x, row % extents.y, i % extents.z);
    }
    output[i] = combine(left[dot(place, left_strides)], right[dot(place, right_strides)]);
  }
}
