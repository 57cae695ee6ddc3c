// Result of the weight gradient of a 3×3 convolution with stride 1 after Winograd (winograd_output_gradient.wgsl):
//   weight_gradient[ky, kx, c, o] = (Aᵀ·m·A)[ky, kx],   m[i, j] = products[6·i + j, c, o]
// and added to what is there where accumulate is 1: the batch is summed in chunks, one after the other.
//
// products         [36, channels, columns]
// weight_gradient  [3, 3, channels, columns]
//
// A thread transforms one pair of channels.

struct Params {
  size: u32, // channels · columns
  accumulate: u32,
  points: u32, // 6 on a side of a tile, told as to winograd_input
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> products: array<f32>;
@group(0) @binding(2) var<storage, read_write> weight_gradient: array<f32>;

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
  let accumulate = params.accumulate != 0u;
  var columns: array<array<f32, 3>, 6>; // of Aᵀ·m
  for (var k = 0u; k < params.points; k++) {
    for (var j = 0u; j < 5u; j++) { // unroll
      columns[j] = columns[j + 1u];
    }
    var m: array<f32, 6>;
    for (var i = 0u; i < 6u; i++) { // unroll
      m[i] = products[(6u * i + k) * size + thread];
    }
    columns[5] = transform(m);
  }
  for (var at = thread; at < 9u * size; at += 3u * size) {
    let row = transform(array(columns[0][0], columns[1][0], columns[2][0], columns[3][0], columns[4][0], columns[5][0]));
    for (var kx = 0u; kx < 3u; kx++) { // unroll
      var value = row[kx];
      if (accumulate) {
        value += weight_gradient[at + kx * size];
      }
      weight_gradient[at + kx * size] = value;
    }
    for (var j = 0u; j < 6u; j++) { // unroll
      for (var i = 0u; i < 2u; i++) { // unroll
        columns[j][i] = columns[j][i + 1u];
      }
    }
  }
}

// Aᵀ · m
fn transform(m: array<f32, 6>) -> array<f32, 3> {
  return array(m[0] + m[1] + m[2] + m[3] + m[4], m[1] - m[2] + 2.0 * (m[3] - m[4]), m[1] + m[2] + 4.0 * (m[3] + m[4]) + m[5]);
}
