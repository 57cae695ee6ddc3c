// Weight side of a 3×3 convolution with stride 1 after Winograd (winograd_input.wgsl):
//   transformed[6·i + j, c, o] = (G·g·Gᵀ)[i, j],   g[ky, kx] = weight[ky, kx, c, o], or weight[2 − ky, 2 − kx, c, o] with FLIP
//
// weight       [3, 3, channels, columns]
// transformed  [36, channels, columns]
//
// A thread transforms the nine taps of one pair of channels.

const FLIP: bool = false; // for the gradient with respect to the input

struct Params {
  size: u32, // channels · columns
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> transformed: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let thread = (workgroup_id.x + workgroup_id.y * num_workgroups.x) * 64u + local;
  let size = params.size;
  if (thread >= size) {
    return;
  }
  var columns: array<array<f32, 6>, 3>; // of G·g
  for (var kx = 0u; kx < 3u; kx++) { // unroll
    var g: array<f32, 3>;
    for (var ky = 0u; ky < 3u; ky++) { // unroll
      let tap = 3u * ky + kx;
      g[ky] = weight[select(tap, 8u - tap, FLIP) * size + thread];
    }
    columns[kx] = transform(g);
  }
  for (var i = 0u; i < 6u; i++) { // unroll
    let row = transform(array(columns[0][i], columns[1][i], columns[2][i]));
    for (var j = 0u; j < 6u; j++) { // unroll
      transformed[(6u * i + j) * size + thread] = row[j];
    }
  }
}

// G · g
fn transform(g: array<f32, 3>) -> array<f32, 6> {
  let even = (g[0] + g[2]) / 6.0;
  let odd = g[1] / 6.0;
  let far_even = g[0] / 24.0 + g[2] / 6.0;
  let far_odd = g[1] / 12.0;
  return array(g[0] / 4.0, -even - odd, odd - even, far_even + far_odd, far_even - far_odd, g[2]);
}
