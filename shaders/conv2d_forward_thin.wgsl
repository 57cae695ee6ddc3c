// Convolution of one group whose input has few channels (coloured pixels), of any count; the formula and layouts of conv2d_forward.wgsl.
//
// The same outer products, but taking one channel of one tap at a time: a lane loads single numbers of the input.
enable subgroups;

// #include "lib/conv2d.wgsl"

const SUBGROUP: u32 = 8u; // lanes of a subgroup, the same for every launch on the adapter
const ROWS: u32 = 24u; // a multiple of SUBGROUP

@group(0) @binding(1) var<storage, read> input: array<f32>;

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
  let channels = params.channels;
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
        at[j] = select(0u, ((image[j] + y) * width + x) * channels, inside[j]);
      }
      for (var channel = 0u; channel < channels; channel++) {
        var values: array<f32, LANE_ROWS>;
        for (var j = 0u; j < LANE_ROWS; j++) { // unroll
          values[j] = select(0.0, input[at[j] + channel], inside[j]);
        }
        let weights = weight[weight_at];
        weight_at += column_quads;
        for (var row = 0u; row < ROWS; row++) { // unroll
          sum[row] += subgroupShuffle(values[row / SUBGROUP], row % SUBGROUP) * weights;
        }
      }
    }
  }

  if (quad >= column_quads) {
    return;
  }
  let offset = offset_of(quad);
  // A copy with a running index: written out, the stores would take a driver longer to compile than all else. Bounds without a number keep them as loops.
  var tile: array<vec4f, ROWS>;
  for (var row = 0u; row < ROWS; row++) { // unroll
    tile[row] = sum[row];
  }
  let row_end = min(row0 + ROWS, rows);
  for (var row = row0; row < row_end; row++) {
    finish(row * column_quads + quad, tile[row - row0] + offset);
  }
}
