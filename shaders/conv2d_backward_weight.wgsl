// Gradient of a convolution of one group (conv2d_forward.wgsl) with respect to its weight, in partial sums:
//   partials[s, ky, kx, c, o] = Σ_{(n, y, x) in split s} input[n, y·stride_y − pad_top + ky·dilation_y, x·stride_x − pad_left + kx·dilation_x, c]
//                                                        · output_gradient[n, y, x, o]
//
// input            [batch, height, width, channels]                 channels a multiple of 4
// output_gradient  [batch, output_height, output_width, columns]    columns, the output channels, a multiple of 4
// partials         [splits, kernel_y, kernel_x, channels, columns]; with one split, the gradient itself
//
// One matrix product per tap: its rows are input channels, its depth runs over those output pixels for which the tap falls inside the image, a rectangle
// of every image, so no time goes into padding. The depth is long and the product small: it is split so that there is work for every core,
// and column_sum.wgsl adds the splits. One subgroup computes ROWS × 4·SUBGROUP weights by outer products, as in matmul.wgsl.
enable subgroups;

// #include "lib/rectangle.wgsl"

const SUBGROUP: u32 = 8u; // lanes of a subgroup, the same for every launch on the adapter
const ROWS: u32 = 32u; // a multiple of SUBGROUP, and ROWS / 4 a multiple or divisor of it

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
  groups: u32, // workgroups with work: splits · taps · row tiles · column tiles
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>;

const LOADS = ROWS / SUBGROUP; // vec4 of the input that a lane loads for four pixels
const QUADS = ROWS / 4u; // vec4 of one pixel
const PIXELS_PER_LOAD = (SUBGROUP + QUADS - 1u) / QUADS;

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
  let row_tiles = (channel_quads + QUADS - 1u) / QUADS;
  let column_tiles = (column_quads + SUBGROUP - 1u) / SUBGROUP;
  let quad = group % column_tiles * SUBGROUP + lane; // this lane's four output channels
  let row_quad0 = group / column_tiles % row_tiles * QUADS;
  let taps = params.kernel_y * params.kernel_x;
  let part = group / column_tiles / row_tiles; // split · taps + tap
  let tap = part % taps;

  // Input pixel = output pixel · stride + shift; [first, end) are the output lines and columns for which it lies inside.
  let shift_y = i32(tap / params.kernel_x * params.dilation_y) - i32(params.pad_top);
  let shift_x = i32(tap % params.kernel_x * params.dilation_x) - i32(params.pad_left);
  let first_y = first_inside(shift_y, stride_y);
  let first_x = first_inside(shift_x, stride_x);
  let end_y = end_inside(shift_y, stride_y, height, output_height);
  let end_x = end_inside(shift_x, stride_x, width, output_width);
  let lines = max(end_y, first_y) - first_y;
  let line = max(end_x, first_x) - first_x;
  let pixels = params.batch * lines * line;
  let pixels_per_split = ((pixels + params.splits - 1u) / params.splits + 3u) / 4u * 4u;
  let begin = min(part / taps * pixels_per_split, pixels);
  let end = min(begin + pixels_per_split, pixels);

  // The current pixel of the walk through the rectangles. Divisors are at least 1 where there are no pixels.
  var x = first_x + begin % max(line, 1u);
  var y = first_y + begin / max(line, 1u) % max(lines, 1u);
  var image = begin / max(line * lines, 1u);

  var row_quad: array<u32, LOADS>;
  for (var j = 0u; j < LOADS; j++) { // unroll
    row_quad[j] = min(row_quad0 + (j * SUBGROUP + lane) % QUADS, channel_quads - 1u);
  }
  let loaded_quad = min(quad, column_quads - 1u);

  var sum: array<vec4f, ROWS>;
  for (var pixel = begin; pixel < end; pixel += 4u) {
    var input_at: array<u32, 4>;
    var inside: array<bool, 4>;
    var gradients: array<vec4f, 4>;
    for (var i = 0u; i < 4u; i++) { // unroll
      inside[i] = pixel + i < end;
      input_at[i] = select(0u, ((image * height + y * stride_y + u32(shift_y)) * width + x * stride_x + u32(shift_x)) * channel_quads, inside[i]);
      let gradient_at = select(0u, ((image * output_height + y) * output_width + x) * column_quads, inside[i]) + loaded_quad;
      gradients[i] = select(vec4f(), output_gradient[gradient_at], inside[i]);
      x++;
      let line_done = x == end_x;
      x = select(x, first_x, line_done);
      y += select(0u, 1u, line_done);
      let image_done = y == end_y;
      y = select(y, first_y, image_done);
      image += select(0u, 1u, image_done);
    }
    var values: array<vec4f, LOADS>;
    for (var j = 0u; j < LOADS; j++) { // unroll
      let i = j * SUBGROUP / QUADS + lane / QUADS % PIXELS_PER_LOAD;
      values[j] = select(vec4f(), input[input_at[i] + row_quad[j]], inside[i]);
    }
    for (var row = 0u; row < ROWS; row++) { // unroll
      for (var i = 0u; i < 4u; i++) { // unroll
        let q = i * QUADS + row / 4u;
        sum[row] += subgroupShuffle(values[q / SUBGROUP][row % 4u], q % SUBGROUP) * gradients[i];
      }
    }
  }

  if (quad >= column_quads) {
    return;
  }
  // A copy with a running index: written out, the stores would take a driver longer to compile than all else. Bounds without a number keep them as loops.
  var tile: array<vec4f, ROWS>;
  for (var row = 0u; row < ROWS; row++) { // unroll
    tile[row] = sum[row];
  }
  let row0 = row_quad0 * 4u;
  let row_end = min(row0 + ROWS, params.channels);
  for (var row = row0; row < row_end; row++) {
    partials[(part * params.channels + row) * column_quads + quad] = tile[row - row0];
  }
}
