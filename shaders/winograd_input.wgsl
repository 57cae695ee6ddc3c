// Input side of a 3×3 convolution with stride 1 after Winograd, F(4×4, 3×3) (Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks"):
//   transformed[6·i + j, tile, c] = (Bᵀ·d·B)[i, j]
// d being the 6 × 6 pixels of one channel that an output tile of 4 × 4 depends on. Pixels outside the image count as zero.
//
// input        [batch, height, width, channels]
// transformed  [36, images · tiles_y · tiles_x, channels]
//
// A thread transforms one channel of one tile: with four channels a thread, drivers take seconds to compile this many loads. The loop over the columns
// ends at a number that drivers do not know, or they would write it out, and take twice as long; with each turn the columns move up by one, as an array
// with a running index would not stay in registers.

struct Params {
  first_image: u32,
  images: u32, // transformed here, of the batch
  height: u32,
  width: u32,
  channels: u32,
  tiles_y: u32, // of one image
  tiles_x: u32,
  pad_top: u32,
  pad_left: u32,
  points: u32, // 6 on a side of a tile
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
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
  let channels = params.channels;
  let tiles_x = params.tiles_x;
  let tiles_y = params.tiles_y;
  let points = params.points;
  let threads = params.images * tiles_y * tiles_x * channels;
  if (thread >= threads) {
    return;
  }
  let tile = thread / channels;
  let channel = thread % channels;
  // Negative places wrap round and fail the comparison below.
  let left = tile % tiles_x * 4u - params.pad_left;
  let top = tile / tiles_x % tiles_y * 4u - params.pad_top;
  let image = (params.first_image + tile / (tiles_x * tiles_y)) * height;

  let line = width * channels;
  var corner = ((image + top) * width + left) * channels + channel;
  var columns: array<array<f32, 6>, 6>; // of Bᵀ·d
  for (var x = left; x != left + points; x++) {
    for (var j = 0u; j < 5u; j++) { // unroll
      columns[j] = columns[j + 1u];
    }
    var d: array<f32, 6>;
    for (var i = 0u; i < 6u; i++) { // unroll
      let y = top + i;
      let inside = y < height && x < width;
      d[i] = select(0.0, input[select(0u, corner + i * line, inside)], inside);
    }
    columns[5] = transform(d);
    corner += channels;
  }
  var at = thread;
  for (var i = 0u; i < points; i++) {
    let row = transform(array(columns[0][0], columns[1][0], columns[2][0], columns[3][0], columns[4][0], columns[5][0]));
    for (var j = 0u; j < 6u; j++) { // unroll
      transformed[at] = row[j];
      at += threads;
    }
    for (var j = 0u; j < 6u; j++) { // unroll
      for (var i = 0u; i < 5u; i++) { // unroll
        columns[j][i] = columns[j][i + 1u];
      }
    }
  }
}

// Bᵀ · d
fn transform(d: array<f32, 6>) -> array<f32, 6> {
  return array(
    4.0 * d[0] - 5.0 * d[2] + d[4],
    d[4] + d[3] - 4.0 * (d[2] + d[1]),
    d[4] - d[3] - 4.0 * (d[2] - d[1]),
    d[4] - d[2] + 2.0 * (d[3] - d[1]),
    d[4] - d[2] - 2.0 * (d[3] - d[1]),
    4.0 * d[1] - 5.0 * d[3] + d[5],
  );
}
