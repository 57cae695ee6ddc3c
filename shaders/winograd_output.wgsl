// Output side of a 3×3 convolution with stride 1 after Winograd (winograd_input.wgsl), with what follows it:
//   output[n, 4·ty + y, 4·tx + x, o] = act((Aᵀ·m·A)[y, x] + bias[o] + residual[n, 4·ty + y, 4·tx + x, o]),   m[i, j] = products[6·i + j, tile, o]
// act is the identity, or max(0, ·) where relu is 1. What lies outside the image is left out.
//
// products  [36, images · tiles_y · tiles_x, columns]
// bias      [columns]; any tensor where has_bias is 0
// residual  as output; any tensor where has_residual is 0
// output    [batch, height, width, columns]
//
// A thread transforms one channel of one tile.

// #include "lib/rectify.wgsl"

struct Params {
  first_image: u32,
  images: u32, // transformed here, of the batch
  height: u32,
  width: u32,
  columns: u32,
  tiles_y: u32, // of one image
  tiles_x: u32,
  has_bias: u32,
  has_residual: u32,
  relu: u32,
  points: u32, // 6 on a side of a tile, told as to winograd_input
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> products: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let thread = (workgroup_id.x + workgroup_id.y * num_workgroups.x) * 64u + local;
  let height = params.height;
  let width = params.width;
  let columns = params.columns;
  let tiles_x = params.tiles_x;
  let tiles_y = params.tiles_y;
  let threads = params.images * tiles_y * tiles_x * columns;
  if (thread >= threads) {
    return;
  }

  var lines: array<array<f32, 4>, 6>; // of Aᵀ·m, down
  let line = 6u * threads;
  var at = thread;
  for (var k = 0u; k < params.points; k++) {
    for (var j = 0u; j < 5u; j++) { // unroll
      lines[j] = lines[j + 1u];
    }
    var m: array<f32, 6>;
    for (var i = 0u; i < 6u; i++) { // unroll
      m[i] = products[at + i * line];
    }
    lines[5] = transform(m);
    at += threads;
  }

  let tile = thread / columns;
  let column = thread % columns;
  let left = tile % tiles_x * 4u;
  let top = tile / tiles_x % tiles_y * 4u;
  let image = (params.first_image + tile / (tiles_x * tiles_y)) * height;
  let has_residual = params.has_residual != 0u;
  let relu = params.relu != 0u;
  var offset = 0.0;
  if (params.has_bias != 0u) {
    offset = bias[column];
  }
  let bottom = min(top + 4u, height);
  for (var y = top; y < bottom; y++) {
    let row = transform(array(lines[0][0], lines[1][0], lines[2][0], lines[3][0], lines[4][0], lines[5][0]));
    for (var j = 0u; j < 4u; j++) { // unroll
      let x = left + j;
      if (x < width) {
        let at = ((image + y) * width + x) * columns + column;
        var value = row[j] + offset;
        if (has_residual) {
          value += residual[at];
        }
        output[at] = select(value, rectify(vec4f(value)).x, relu);
      }
    }
    for (var j = 0u; j < 6u; j++) { // unroll
      for (var i = 0u; i < 3u; i++) { // unroll
        lines[j][i] = lines[j][i + 1u];
      }
    }
  }
}

// Aᵀ · m
fn transform(m: array<f32, 6>) -> array<f32, 4> {
  let even = m[1] + m[2];
  let odd = m[1] - m[2];
  let far_even = m[3] + m[4];
  let far_odd = m[3] - m[4];
  return array(m[0] + even + far_even, odd + 2.0 * far_odd, even + 4.0 * far_even, odd + 8.0 * far_odd + m[5]);
}
