// Convolution of any sizes in any number of groups on any adapter, with what follows it (the formula of conv2d_forward.wgsl):
//   output[n, y, x, o] = act(Σ_{ky, kx, c} input[n, y', x', first(o) + c] · weight[ky, kx, c, o] + bias[o] + residual[n, y, x, o])
// where c runs over the channels of o's group, of which first(o) is the first in the input.
//
// input     [batch, height, width, groups · channels]
// weight    [kernel_y, kernel_x, channels, columns]      columns, the output channels, a multiple of CHANNELS · groups
// bias      [columns]; any tensor without BIAS
// residual  as output; any tensor without RESIDUAL
// output    [batch, output_height, output_width, columns]
//
// A thread computes CHANNELS neighbouring channels of one group in PIXELS neighbouring pixels.

// #include "lib/rectify.wgsl"

const CHANNELS: u32 = 4u; // 1 where a group's output channels are no multiple of 4, as in a depthwise convolution
const PIXELS: u32 = 4u;
const BIAS: bool = false;
const RESIDUAL: bool = false;
const RELU: bool = false;

struct Params {
  batch: u32,
  height: u32,
  width: u32,
  channels: u32, // of one group's input
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
  groups: u32, // of channels
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

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
  let columns = params.columns;
  let kernel_y = params.kernel_y;
  let kernel_x = params.kernel_x;
  let dilation_y = params.dilation_y;
  let dilation_x = params.dilation_x;
  let input_channels = params.groups * channels;
  let pixels = params.batch * params.output_height * params.output_width;
  let column0 = thread % (columns / CHANNELS) * CHANNELS;
  let pixel0 = thread / (columns / CHANNELS) * PIXELS;
  if (pixel0 >= pixels) {
    return;
  }
  let channel0 = column0 / (columns / params.groups) * channels;

  // The image, and the place of the kernel's first tap. Negative places wrap round and fail the comparison below. The first pixel's place takes divisions,
  // which are slow, the others follow from it.
  var image: array<u32, PIXELS>;
  var top: array<u32, PIXELS>;
  var left: array<u32, PIXELS>;
  let output_width = params.output_width;
  let output_height = params.output_height;
  let line0 = pixel0 / output_width;
  var x = pixel0 - line0 * output_width;
  var n = line0 / output_height;
  var y = line0 - n * output_height;
  for (var p = 0u; p < PIXELS; p++) { // unroll
    image[p] = n * height;
    top[p] = y * params.stride_y - params.pad_top;
    left[p] = x * params.stride_x - params.pad_left;
    x++;
    let line_done = x == output_width;
    x = select(x, 0u, line_done);
    y += select(0u, 1u, line_done);
    let image_done = y == output_height;
    y = select(y, 0u, image_done);
    n += select(0u, 1u, image_done && pixel0 + p + 1u < pixels);
  }

  var sum: array<f32, PIXELS * CHANNELS>;
  var weight_at = column0;
  for (var ky = 0u; ky < kernel_y; ky++) {
    for (var kx = 0u; kx < kernel_x; kx++) {
      var at: array<u32, PIXELS>;
      var inside: array<bool, PIXELS>;
      for (var p = 0u; p < PIXELS; p++) { // unroll
        let y = top[p] + ky * dilation_y;
        let x = left[p] + kx * dilation_x;
        inside[p] = y < height && x < width;
        at[p] = select(0u, ((image[p] + y) * width + x) * input_channels + channel0, inside[p]);
      }
      for (var channel = 0u; channel < channels; channel++) {
        var weights: array<f32, CHANNELS>;
        for (var i = 0u; i < CHANNELS; i++) { // unroll
          weights[i] = weight[weight_at + i];
        }
        weight_at += columns;
        for (var p = 0u; p < PIXELS; p++) { // unroll
          let value = select(0.0, input[at[p] + channel], inside[p]);
          for (var i = 0u; i < CHANNELS; i++) { // unroll
            sum[p * CHANNELS + i] += value * weights[i];
          }
        }
      }
    }
  }

  // A copy with a running index: written out, the stores would take a driver long to compile.
  var tile: array<f32, PIXELS * CHANNELS>;
  for (var i = 0u; i < PIXELS * CHANNELS; i++) { // unroll
    tile[i] = sum[i];
  }
  let pixel_end = min(pixel0 + PIXELS, pixels);
  for (var pixel = pixel0; pixel < pixel_end; pixel++) {
    for (var i = 0u; i < CHANNELS; i++) { // unroll
      let output_at = pixel * columns + column0 + i;
      var value = tile[(pixel - pixel0) * CHANNELS + i];
      if (BIAS) {
        value += bias[column0 + i];
      }
      if (RESIDUAL) {
        value += residual[output_at];
      }
      if (RELU) {
        value = rectify(vec4f(value)).x;
      }
      output[output_at] = value;
    }
  }
}
