// Gradient of a convolution in which an output channel meets one input channel (depthwise_forward.wgsl) with respect to its weight, in partial sums:
//   partials[s, ky, kx, c] = Σ_{(n, y, x) in split s} input[n, y·STRIDE_Y − pad_top + ky·DILATION_Y, x·STRIDE_X − pad_left + kx·DILATION_X, c]
//                                                     · output_gradient[n, y, x, c]
//
// input            [batch, height, width, columns]; with GREY [batch, height, width], common to all c
// output_gradient  [batch, output_height, output_width, columns]    columns, the output channels, a multiple of 4
// partials         [splits, KERNEL_Y, KERNEL_X, columns]; with one split, the gradient itself
//
// A thread owns four channels and walks along LINES neighbouring output lines at a time, block after block of its split. With each step come one column of
// the output's gradient and STRIDE_X of the input; the gradients of the last OPEN columns are kept. column_sum.wgsl adds the splits.

const GREY: bool = false;
const KERNEL_Y: u32 = 3u;
const KERNEL_X: u32 = 3u;
const STRIDE_Y: u32 = 1u;
const STRIDE_X: u32 = 1u;
const DILATION_Y: u32 = 1u;
const DILATION_X: u32 = 1u;
const LINES: u32 = 2u;

struct Params {
  height: u32,
  width: u32,
  output_height: u32,
  output_width: u32,
  columns: u32,
  pad_top: u32,
  pad_left: u32,
  blocks: u32, // batch · ⌈output_height / LINES⌉
  blocks_per_split: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>;

const TAPS = KERNEL_Y * KERNEL_X;
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
  let output_height = params.output_height;
  let output_width = params.output_width;
  let quads = params.columns / 4u;
  let quad = thread % quads;
  let split = thread / quads;
  let begin = split * params.blocks_per_split;
  if (begin >= params.blocks) {
    return;
  }
  let end = min(begin + params.blocks_per_split, params.blocks);
  let blocks_per_image = (output_height + LINES - 1u) / LINES;

  var sums: array<vec4f, TAPS>;
  for (var block = begin; block < end; block++) {
    let image = block / blocks_per_image;
    let first_line = block % blocks_per_image * LINES;
    // Negative places wrap round and fail the comparisons.
    let top = first_line * STRIDE_Y - params.pad_top;
    var input_at: array<u32, INPUT_LINES>;
    for (var i = 0u; i < INPUT_LINES; i++) { // unroll
      input_at[i] = select(0u, (image * height + top + i) * width, top + i < height);
    }
    // Products with what lies outside are left out, not zero: the other factor may be NaN.
    var lines_meet: array<bool, LINES * KERNEL_Y>;
    for (var line = 0u; line < LINES; line++) { // unroll
      for (var ky = 0u; ky < KERNEL_Y; ky++) { // unroll
        lines_meet[line * KERNEL_Y + ky] = first_line + line < output_height && top + line * STRIDE_Y + ky * DILATION_Y < height;
      }
    }
    var gradients: array<vec4f, LINES * OPEN>; // those of a line one after the other, the latest last
    for (var step = 0u; step < output_width + OPEN - 1u; step++) {
      for (var line = 0u; line < LINES; line++) { // unroll
        for (var i = 1u; i < OPEN; i++) { // unroll
          gradients[line * OPEN + i - 1u] = gradients[line * OPEN + i];
        }
        let y = min(first_line + line, output_height - 1u);
        let x = min(step, output_width - 1u);
        gradients[line * OPEN + OPEN - 1u] = output_gradient[((image * output_height + y) * output_width + x) * quads + quad];
      }
      let left = step * STRIDE_X - params.pad_left;
      var values: array<vec4f, INPUT_LINES * STRIDE_X>;
      for (var j = 0u; j < STRIDE_X; j++) { // unroll
        for (var i = 0u; i < INPUT_LINES; i++) { // unroll
          values[i * STRIDE_X + j] = load(input_at[i] + select(0u, left + j, left + j < width), quad);
        }
      }
      for (var kx = 0u; kx < KERNEL_X; kx++) { // unroll
        let age = kx * DILATION_X / STRIDE_X; // of the gradient's column that this tap joins with column j of the input
        let j = kx * DILATION_X % STRIDE_X;
        let columns_meet = step - age < output_width && left + j < width;
        for (var line = 0u; line < LINES; line++) { // unroll
          for (var ky = 0u; ky < KERNEL_Y; ky++) { // unroll
            let value = values[(line * STRIDE_Y + ky * DILATION_Y) * STRIDE_X + j];
            let product = value * gradients[line * OPEN + OPEN - 1u - age];
            sums[ky * KERNEL_X + kx] += select(vec4f(), product, columns_meet && lines_meet[line * KERNEL_Y + ky]);
          }
        }
      }
    }
  }
  // One after the other from the front: written out, the stores would take a driver long to compile.
  for (var part = split * TAPS; part < (split + 1u) * TAPS; part++) {
    partials[part * quads + quad] = sums[0];
    for (var tap = 1u; tap < TAPS; tap++) { // unroll
      sums[tap - 1u] = sums[tap];
    }
  }
}

fn load(pixel: u32, quad: u32) -> vec4f {
  if (GREY) {
    return vec4f(input[pixel / 4u][pixel % 4u]);
  }
  return input[pixel * (params.columns / 4u) + quad];
}
