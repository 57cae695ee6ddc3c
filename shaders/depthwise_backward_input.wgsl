// Gradient of a depthwise convolution (depthwise_forward.wgsl) with respect to its input:
//   input_gradient[n, y, x, c] = Σ_{ky, kx} output_gradient[n, (y + pad_top − ky·DILATION_Y) / STRIDE_Y, (x + pad_left − kx·DILATION_X) / STRIDE_X, c]
//                                           · weight[ky, kx, c]
// over the taps for which both divisions leave no remainder and the pixel lies inside the output.
//
// output_gradient  [batch, output_height, output_width, columns]      columns, the channels, a multiple of 4
// weight           [KERNEL_Y, KERNEL_X, columns]
// input_gradient   [batch, height, width, columns]
//
// The walk of depthwise_forward.wgsl the other way round: with each step comes one column of the output's gradient, which is added to all sums that it
// belongs to, and those of STRIDE_X pixels are finished. Counted from the upper left corner of the padding, a thread's lines begin at a multiple of
// STRIDE_Y and its steps at multiples of STRIDE_X: so which taps count for which pixel is known beforehand.

const KERNEL_Y: u32 = 3u;
const KERNEL_X: u32 = 3u;
const STRIDE_Y: u32 = 1u;
const STRIDE_X: u32 = 1u;
const DILATION_Y: u32 = 1u;
const DILATION_X: u32 = 1u;
const BLOCK: u32 = 2u; // a thread has BLOCK · STRIDE_Y lines
const RUN: u32 = 32u; // and walks RUN steps

struct Params {
  batch: u32,
  height: u32,
  width: u32,
  output_height: u32,
  output_width: u32,
  columns: u32,
  pad_top: u32,
  pad_left: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<vec4f>;

const LINES = BLOCK * STRIDE_Y;
const ABOVE = ((KERNEL_Y - 1u) * DILATION_Y + STRIDE_Y - 1u) / STRIDE_Y; // output lines before a block's own that its taps reach
const BEHIND = ((KERNEL_X - 1u) * DILATION_X + STRIDE_X - 1u) / STRIDE_X; // steps before a run's own likewise
const OPEN = (BEHIND + 1u) * STRIDE_X; // sums of one line that are under way at once

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let thread = (workgroup_id.x + workgroup_id.y * num_workgroups.x) * 64u + local;
  let height = params.height;
  let width = params.width;
  let shift_y = params.pad_top % STRIDE_Y; // lines of padding in the first block
  let shift_x = params.pad_left % STRIDE_X;
  let output_height = params.output_height;
  let output_width = params.output_width;
  let quads = params.columns / 4u;
  let steps = (width + shift_x + STRIDE_X - 1u) / STRIDE_X;
  let runs = (steps + RUN - 1u) / RUN;
  let blocks = (height + shift_y + LINES - 1u) / LINES;
  let quad = thread % quads;
  let begin = thread / quads % runs * RUN;
  let block = thread / quads / runs % blocks;
  let image = thread / quads / runs / blocks;
  if (image >= params.batch) {
    return;
  }

  var weights: array<vec4f, KERNEL_Y * KERNEL_X>;
  for (var tap = 0u; tap < KERNEL_Y * KERNEL_X; tap++) { // unroll
    weights[tap] = weight[tap * quads + quad];
  }

  // Negative places wrap round and fail the comparisons.
  var line_at: array<u32, BLOCK + ABOVE>;
  var line_inside: array<bool, BLOCK + ABOVE>;
  for (var i = 0u; i < BLOCK + ABOVE; i++) { // unroll
    let y = params.pad_top / STRIDE_Y + block * BLOCK - ABOVE + i;
    line_inside[i] = y < output_height;
    line_at[i] = (image * output_height + y) * output_width * quads + quad;
  }

  var sums: array<vec4f, LINES * OPEN>; // those of a line one after the other, the pixels to be finished next being the first
  let end = min(begin + RUN, steps);
  for (var step = begin - BEHIND; step != end; step++) {
    let output_x = params.pad_left / STRIDE_X + step;
    var values: array<vec4f, BLOCK + ABOVE>;
    for (var i = 0u; i < BLOCK + ABOVE; i++) { // unroll
      let inside = line_inside[i] && output_x < output_width;
      values[i] = select(vec4f(), output_gradient[select(0u, line_at[i] + output_x * quads, inside)], inside);
    }
    for (var line = 0u; line < LINES; line++) { // unroll
      for (var ky = 0u; ky < KERNEL_Y; ky++) { // unroll
        let place = line + ABOVE * STRIDE_Y - ky * DILATION_Y;
        if (place % STRIDE_Y == 0u) {
          for (var kx = 0u; kx < KERNEL_X; kx++) { // unroll
            sums[line * OPEN + kx * DILATION_X] += values[place / STRIDE_Y] * weights[ky * KERNEL_X + kx];
          }
        }
      }
    }
    for (var line = 0u; line < LINES; line++) { // unroll
      let y = block * LINES + line - shift_y;
      for (var j = 0u; j < STRIDE_X; j++) { // unroll
        let x = step * STRIDE_X + j - shift_x;
        if (step - begin < RUN && y < height && x < width) {
          input_gradient[((image * height + y) * width + x) * quads + quad] = sums[line * OPEN + j];
        }
      }
      for (var i = 0u; i < BEHIND * STRIDE_X; i++) { // unroll
        sums[line * OPEN + i] = sums[line * OPEN + i + STRIDE_X];
      }
      for (var j = 0u; j < STRIDE_X; j++) { // unroll
        sums[line * OPEN + BEHIND * STRIDE_X + j] = vec4f();
      }
    }
  }
}
