// Convolution of one group, with what follows it:
//   output[n, y, x, o] = act(Σ_{ky, kx, c} input[n, y·stride_y − pad_top + ky·dilation_y, x·stride_x − pad_left + kx·dilation_x, c] · weight[ky, kx, c, o]
//                            + bias[o] + residual[n, y, x, o])
// Pixels outside the image count as zero. act is the identity, or max(0, ·) with RELU.
//
// input     [batch, height, width, channels]             channels a multiple of 4
// weight    [kernel_y, kernel_x, channels, columns]      columns, the output channels, a multiple of 4
// bias      [columns]; any tensor without BIAS
// residual  as output; any tensor without RESIDUAL
// output    [batch, output_height, output_width, columns]
//
// A matrix product whose left side is never written down: its rows are output pixels, its depth runs over the taps of the kernel and the channels.
// One subgroup computes ROWS pixels × 4·SUBGROUP channels by outer products, as in matmul.wgsl.
enable subgroups;

// #include "lib/conv2d.wgsl"

const SUBGROUP: u32 = 8u; // lanes of a subgroup, the same for every launch on the adapter
const ROWS: u32 = 24u; // a multiple of SUBGROUP

@group(0) @binding(1) var<storage, read> input: array<vec4f>;

const LANE_ROWS = ROWS / SUBGROUP; // pixels that a lane loads

@compute @workgroup_size(SUBGROUP)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let group = workgroup_id.x + workgroup_id.y * num_workgroups.x;
  if (group >= params.groups) {
    return;
  }
  let height = params.height;
  let width = params.width;
  let channel_quads = params.channels / 4u;
  let column_quads = params.columns / 4u;
  let kernel_y = params.kernel_y;
  let kernel_x = params.kernel_x;
  let dilation_y = params.dilation_y;
  let dilation_x = params.dilation_x;
  let rows = params.batch * params.output_height * params.output_width;
  let column_tiles = (column_quads + SUBGROUP - 1u) / SUBGROUP;
  let row0 = group / column_tiles * ROWS;
  let quad = group % column_tiles * SUBGROUP + lane; // this lane's four output channels
  var weight_at = min(quad, column_quads - 1u);

  // Of the pixels that this lane loads: the image, and the place of the kernel's first tap. Negative places wrap round and fail the comparison below.
  var image: array<u32, LANE_ROWS>;
  var top: array<u32, LANE_ROWS>;
  var left: array<u32, LANE_ROWS>;
  for (var j = 0u; j < LANE_ROWS; j++) { // unroll
    let row = min(row0 + j * SUBGROUP + lane, rows - 1u);
    let line = row / params.output_width;
    image[j] = line / params.output_height * height;
    top[j] = line % params.output_height * params.stride_y - params.pad_top;
    left[j] = row % params.output_width * params.stride_x - params.pad_left;
  }

  var sum: array<vec4f, ROWS>;
  for (var ky = 0u; ky < kernel_y; ky++) {
    for (var kx = 0u; kx < kernel_x; kx++) {
      var at: array<u32, LANE_ROWS>;
      var inside: array<bool, LANE_ROWS>;
      for (var j = 0u; j < LANE_ROWS; j++) { // unroll
        let y = top[j] + ky * dilation_y;
        let x = left[j] + kx * dilation_x;
        inside[j] = y < height && x < width;
        at[j] = select(0u, ((image[j] + y) * width + x) * channel_quads, inside[j]);
      }
      for (var channel = 0u; channel < channel_quads; channel++) {
        var values: array<vec4f, LANE_ROWS>;
        for (var j = 0u; j < LANE_ROWS; j++) { // unroll
          values[j] = select(vec4f(), input[at[j] + channel], inside[j]);
        }
        var weights: array<vec4f, 4>;
        for (var i = 0u; i < 4u; i++) { // unroll
          weights[i] = weight[weight_at];
          weight_at += column_quads;
        }
        for (var row = 0u; row < ROWS; row++) { // unroll
          for (var i = 0u; i < 4u; i++) { // unroll
            sum[row] += subgroupShuffle(values[row / SUBGROUP][i], row % SUBGROUP) * weights[i];
          }
        }
      }
    }
  }

  if (quad >= column_quads) {
    return;
  }
  let offset = offset_of(quad);
  // A copy with a running index: written out, the stores would double the time that a driver takes to compile.
  var tile: array<vec4f, ROWS>;
  for (var row = 0u; row < ROWS; row++) { // unroll
    tile[row] = sum[row];
  }
  let row_end = min(row0 + ROWS, rows);
  for (var row = row0; row < row_end; row++) {
    finish(row * column_quads + quad, tile[row - row0] + offset);
  }
}
