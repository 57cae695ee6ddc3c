// One side of the weight gradient of a 3×3 convolution with stride 1 after Winograd, here F(3×3, 4×4); the other is winograd_input.wgsl:
//   transformed[6·i + j, tile, o] = (G·g·Gᵀ)[i, j],   g[y, x] = output_gradient[n, 4·ty + y, 4·tx + x, o]
// What lies outside the image counts as zero.
//
// output_gradient  [batch, height, width, columns]
// transformed      [36, images · tiles_y · tiles_x, columns]
//
// A thread transforms one channel of one tile in registers.

struct Params {
  first_image: u32,
  images: u32, // transformed here, of the batch
  height: u32,
  width: u32,
  columns: u32,
  tiles_y: u32, // of one image
  tiles_x: u32,
  points: u32, // 6 on a side of a tile, told as to winograd_input
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> transformed: array<f32>;

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
  let tile = thread / columns;
  let column = thread % columns;
  let left = tile % tiles_x * 4u;
  let top = tile / tiles_x % tiles_y * 4u;
  let image = (params.first_image + tile / (tiles_x * tiles_y)) * height;

  let line = width * columns;
  var corner = ((image + top) * width + left) * columns + column;
  var lines: array<array<f32, 6>, 4>; // of G·g, down
  for (var x = left; x < left + params.points - 2u; x++) {
    for (var j = 0u; j < 3u; j++) { // unroll
      lines[j] = lines[j + 1u];
    }
    var g: array<f32, 4>;
    for (var i = 0u; i < 4u; i++) { // unroll
      let inside = top + i < height && x < width;
      g[i] = select(0.0, output_gradient[select(0u, corner + i * line, inside)], inside);
    }
    lines[3] = transform(g);
    corner += columns;
  }
  var at = thread;
  for (var i = 0u; i < params.points; i++) {
    let row = transform(array(lines[0][0], lines[1][0], lines[2][0], lines[3][0]));
    for (var j = 0u; j < 6u; j++) { // unroll
      transformed[at] = row[j];
      at += threads;
    }
    for (var j = 0u; j < 4u; j++) { // unroll
      for (var i = 0u; i < 5u; i++) { // unroll
        lines[j][i] = lines[j][i + 1u];
      }
    }
  }
}

// G · g
fn transform(g: array<f32, 4>) -> array<f32, 6> {
  let even = (g[0] + g[2]) / 6.0;
  let odd = (g[1] + g[3]) / 6.0;
  let far_even = g[0] / 24.0 + g[2] / 6.0;
  let far_odd = g[1] / 12.0 + g[3] / 3.0;
  return array(g[0] / 4.0, -even - odd, odd - even, far_even + far_odd, far_even - far_odd, g[3]);
}
