// Convolution in which an output channel meets one input channel, with what follows it (the formula of conv2d_forward.wgsl):
//   output[n, y, x, c] = act(Σ_{ky, kx} input[n, y·STRIDE_Y − pad_top + ky·DILATION_Y, x·STRIDE_X − pad_left + kx·DILATION_X, c] · weight[ky, kx, c]
//                            + bias[c] + residual[n, y, x, c])
//
// input     [batch, height, width, columns]; with GREY [batch, height, width], common to all c
// weight    [KERNEL_Y, KERNEL_X, columns]       columns, the output channels, a multiple of 4
// bias      [columns]; any tensor without BIAS
// residual  as output; any tensor without RESIDUAL
// output    [batch, output_height, output_width, columns]
//
// There are few multiply-adds to a load, so each number is loaded as seldom as possible: a thread owns four channels of LINES neighbouring output lines,
// keeps their weights in registers and walks along up to RUN pixels. With each step come STRIDE_X new columns of the input, which are added to all sums
// that they belong to: those of OPEN neighbouring pixels are under way at once.

// #include "lib/conv2d.wgsl"

const GREY: bool = false;
const KERNEL_Y: u32 = 3u;
const KERNEL_X: u32 = 3u;
const STRIDE_Y: u32 = 1u;
const STRIDE_X: u32 = 1u;
const DILATION_Y: u32 = 1u;
const DILATION_X: u32 = 1u;
const LINES: u32 = 2u;
const RUN: u32 = 32u;

@group(0) @binding(1) var<storage, read> input: array<vec4f>;

const INPUT_LINES = (LINES - 1u) * STRIDE_Y + (KERNEL_Y - 1u) * DILATION_Y + 1u;
const OPEN = (KERNEL_X - 1u) * DILATION_X / STRIDE_X + 1u;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let thread = (workgroup_id.x + workgroup_id.y * num_workgroups.x) * 64u + local;
  let height = params.height;
  let width = params.width;
  let quads = params.columns / 4u;
  let output_height = params.output_height;
  let output_width = params.output_width;
  let runs = (output_width + RUN - 1u) / RUN;
  let blocks = (output_height + LINES - 1u) / LINES;
  let quad = thread % quads;
  let begin = thread / quads % runs * RUN;
  let first_line = thread / quads / runs % blocks * LINES;
  let image = thread / quads / runs / blocks;
  if (image >= params.batch) {
    return;
  }

  var weights: array<vec4f, KERNEL_Y * KERNEL_X>;
  for (var tap = 0u; tap < KERNEL_Y * KERNEL_X; tap++) { // unroll
    weights[tap] = weight[tap * quads + quad];
  }
  let offset = offset_of(quad);

  // Negative places wrap round and fail the comparisons.
  var line_at: array<u32, INPUT_LINES>;
  var line_inside: array<bool, INPUT_LINES>;
  for (var i = 0u; i < INPUT_LINES; i++) { // unroll
    let y = first_line * STRIDE_Y - params.pad_top + i;
    line_inside[i] = y < height;
    line_at[i] = (image * height + y) * width;
  }

  var sums: array<vec4f, LINES * OPEN>; // those of a line one after the other, the pixel to be finished next being the first
  let end = min(begin + RUN, output_width) + OPEN - 1u;
  for (var step = begin; step < end; step++) {
    var values: array<vec4f, INPUT_LINES * STRIDE_X>;
    for (var j = 0u; j < STRIDE_X; j++) { // unroll
      let x = step * STRIDE_X - params.pad_left + j;
      for (var i = 0u; i < INPUT_LINES; i++) { // unroll
        let inside = line_inside[i] && x < width;
        values[i * STRIDE_X + j] = select(vec4f(), load(select(0u, line_at[i] + x, inside), quad), inside);
      }
    }
    for (var line = 0u; line < LINES; line++) { // unroll
      for (var ky = 0u; ky < KERNEL_Y; ky++) { // unroll
        for (var kx = 0u; kx < KERNEL_X; kx++) { // unroll
          let value = values[(line * STRIDE_Y + ky * DILATION_Y) * STRIDE_X + kx * DILATION_X % STRIDE_X];
          sums[line * OPEN + OPEN - 1u - kx * DILATION_X / STRIDE_X] += value * weights[ky * KERNEL_X + kx];
        }
      }
    }
    let x = step + 1u - OPEN;
    for (var line = 0u; line < LINES; line++) { // unroll
      if (step - begin + 1u >= OPEN && first_line + line < output_height) {
        finish(((image * output_height + first_line + line) * output_width + x) * quads + quad, sums[line * OPEN] + offset);
      }
      for (var i = 0u; i < OPEN - 1u; i++) { // unroll
        sums[line * OPEN + i] = sums[line * OPEN + i + 1u];
      }
      sums[line * OPEN + OPEN - 1u] = vec4f();
    }
  }
}

fn load(pixel: u32, quad: u32) -> vec4f {
  if (GREY) {
    return vec4f(input[pixel / 4u][pixel % 4u]);
  }
  return input[pixel * (params.columns / 4u) + quad];
}
