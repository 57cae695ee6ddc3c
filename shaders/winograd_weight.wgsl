// Weight side of a 3×3 convolution with stride 1 after Winograd (winograd_input.wgsl):
//   transformed[6·i + j, c, o] = (G·g·Gᵀ)[i, j],   g[ky, kx] = weight[ky, kx, c, o], or weight[2 − ky, 2 − kx, o, c] where flip is 1
//
// weight       [3, 3, channels, columns], with flip [3, 3, columns, channels]
// transformed  [36, channels, columns]
//
// A thread transforms the nine taps of one pair of channels.

struct Params {
  size: u32, // channels · columns
  columns: u32,
  flip: u32, // for the gradient with respect to the input
  points: u32, // 6 on a side of a tile, told as to winograd_input
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
  let columns = params.columns;
  let flip = params.flip != 0u;
  let pair = select(thread, thread % columns * (size / columns) + thread / columns, flip);
  var lines: array<array<f32, 6>, 3>; // of G·g
  for (var kx = 0u; kx < 3u; kx++) { // unroll
    var g: array<f32, 3>;
    for (var ky = 0u; ky < 3u; ky++) { // unroll
      let tap = 3u * ky + kx;
      g[ky] = weight[select(tap, 8u - tap, flip) * size + pair];
    }
    lines[kx] = transform(g);
  }
  var at = thread;
  for (var i = 0u; i < params.points; i++) {
    let row = transform(array(lines[0][0], lines[1][0], lines[2][0]));
    for (var j = 0u; j < 6u; j++) { // unroll
      transformed[at] = row[j];
      at += size;
    }
    for (var j = 0u; j < 3u; j++) { // unroll
      for (var i = 0u; i < 5u; i++) { // unroll
        lines[j][i] = lines[j][i + 1u];
      }
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
