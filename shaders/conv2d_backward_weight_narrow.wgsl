// Gradient of a convolution of one group with respect to its weight where it has few channels, in partial sums: formula, layouts and conditions of
// conv2d_backward_weight.wgsl.
//
// One matrix product: its rows are the taps and the input channels together, so that few channels still make a full tile, its depth runs over all output
// pixels. One subgroup computes 4·SUBGROUP rows × 4·QUADS output channels by outer products: a lane owns four neighbouring channels of a tap, and the
// output's gradients are loaded once across the lanes and handed round by shuffles from literal lanes (matmul.wgsl says why). Where a lane's tap falls
// outside the image both factors are zero, so that no NaN gets into a sum to which it does not belong.
enable subgroups;

const SUBGROUP: u32 = 8u; // lanes of a subgroup, the same for every launch on the adapter
const QUADS: u32 = 4u; // vec4 of output channels

struct Params {
  batch: u32,
  height: u32,
  width: u32,
  channels: u32,
  output_height: u32,
  output_width: u32,
  columns: u32,
  kernel_y: u32,
  kernel_x: u32,
  stride_y: u32,
  stride_x: u32,
  pad_top: u32,
  pad_left: u32,
  dilation_y: u32,
  dilation_x: u32,
  splits: u32,
  groups: u32, // workgroups with work: splits · row tiles · column tiles
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>;

const GRADIENTS = 4u * QUADS; // vec4 of four pixels
const LANE_GRADIENTS = (GRADIENTS + SUBGROUP - 1u) / SUBGROUP; // of those, what a lane loads

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
  let output_height = params.output_height;
  let output_width = params.output_width;
  let stride_y = params.stride_y;
  let stride_x = params.stride_x;
  let channel_quads = params.channels / 4u;
  let column_quads = params.columns / 4u;
  let row_quads = params.kernel_y * params.kernel_x * channel_quads;
  let row_tiles = (row_quads + SUBGROUP - 1u) / SUBGROUP;
  let column_tiles = (column_quads + QUADS - 1u) / QUADS;
  let quad0 = group % column_tiles * QUADS;
  let row_quad = group / column_tiles % row_tiles * SUBGROUP + lane; // this lane's tap and four input channels
  let split = group / column_tiles / row_tiles;
  let pixels = params.batch * output_height * output_width;
  let pixels_per_split = ((pixels + params.splits - 1u) / params.splits + 3u) / 4u * 4u;
  let begin = min(split * pixels_per_split, pixels);
  let end = min(begin + pixels_per_split, pixels);

  // Input pixel = output pixel · stride + shift. Negative places wrap round and fail the comparison below.
  let tap = min(row_quad, row_quads - 1u) / channel_quads;
  let shift_y = tap / params.kernel_x * params.dilation_y - params.pad_top;
  let shift_x = tap % params.kernel_x * params.dilation_x - params.pad_left;
  let channel = row_quad % channel_quads;

  var x = begin % output_width;
  var y = begin / output_width % output_height;
  var image = begin / (output_width * output_height);
  var sum: array<vec4f, 4u * QUADS>;
  for (var pixel = begin; pixel < end; pixel += 4u) {
    var values: array<vec4f, 4>;
    var inside: array<bool, 4>;
    for (var i = 0u; i < 4u; i++) { // unroll
      let input_y = y * stride_y + shift_y;
      let input_x = x * stride_x + shift_x;
      inside[i] = input_y < height && input_x < width && pixel + i < end;
      values[i] = select(vec4f(), input[select(0u, ((image * height + input_y) * width + input_x) * channel_quads + channel, inside[i])], inside[i]);
      x++;
      let line_done = x == output_width;
      x = select(x, 0u, line_done);
      y += select(0u, 1u, line_done);
      let image_done = y == output_height;
      y = select(y, 0u, image_done);
      image += select(0u, 1u, image_done);
    }
    var gradients: array<vec4f, LANE_GRADIENTS>;
    for (var j = 0u; j < LANE_GRADIENTS; j++) { // unroll
      let g = j * SUBGROUP + lane;
      gradients[j] = output_gradient[min(pixel + g / QUADS % 4u, end - 1u) * column_quads + min(quad0 + g % QUADS, column_quads - 1u)];
    }
    for (var quad = 0u; quad < QUADS; quad++) { // unroll
      for (var i = 0u; i < 4u; i++) { // unroll
        let handed = subgroupShuffle(gradients[(i * QUADS + quad) / SUBGROUP], (i * QUADS + quad) % SUBGROUP);
        let four = select(vec4f(), handed, inside[i]);
        for (var c = 0u; c < 4u; c++) { // unroll
          sum[4u * quad + c] += values[i][c] * four;
        }
      }
    }
  }

  if (row_quad >= row_quads) {
    return;
  }
  // A copy with a running index: written out, the stores would take a driver longer to compile than all else. Bounds without a number keep them as loops.
  var tile: array<vec4f, 4u * QUADS>;
  for (var i = 0u; i < 4u * QUADS; i++) { // unroll
    tile[i] = sum[i];
  }
  let row0 = 4u * (split * row_quads + row_quad);
  let quad_end = min(quad0 + QUADS, column_quads);
  for (var quad = quad0; quad < quad_end; quad++) {
    for (var row = row0; row < row0 + 4u; row++) {
      partials[row * column_quads + quad] = tile[4u * (quad - quad0) + row - row0];
    }
  }
}
