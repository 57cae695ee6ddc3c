// Gradient of a convolution of any sizes in any number of groups with respect to its weight, in partial sums (the formula of conv2d_backward_weight.wgsl):
//   partials[s, ky, kx, c, o] = Σ_{(n, y, x) in split s} input[n, y·stride_y − pad_top + ky·dilation_y, x·stride_x − pad_left + kx·dilation_x, first(o) + c]
//                                                        · output_gradient[n, y, x, o]
// where c counts the channels of o's group, of which first(o) is the first in the input.
//
// input            [batch, height, width, groups · channels]
// output_gradient  [batch, output_height, output_width, columns]     columns, the output channels, a multiple of CHANNELS · groups
// partials         [splits, kernel_y, kernel_x, channels, columns]; with one split, the gradient itself
//
// A thread computes the weights of TAPS neighbouring taps and CHANNELS neighbouring output channels of one group, for one input channel, over the
// output pixels of one split. column_sum.wgsl adds the splits.

const CHANNELS: u32 = 4u; // 1 where a group's output channels are no multiple of 4, as in a depthwise convolution
const TAPS: u32 = 3u;

struct Params {
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
  pixels: u32, // batch · output_height · output_width
  pixels_per_split: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> partials: array<f32>;

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
  let stride_y = params.stride_y;
  let stride_x = params.stride_x;
  let channels = params.channels;
  let columns = params.columns;
  let input_channels = params.groups * channels;
  let taps = params.kernel_y * params.kernel_x;
  let tap_tiles = (taps + TAPS - 1u) / TAPS;
  let column_tiles = columns / CHANNELS;
  let column0 = thread % column_tiles * CHANNELS;
  let channel = thread / column_tiles % channels;
  let tap0 = thread / (column_tiles * channels) % tap_tiles * TAPS;
  let split = thread / (column_tiles * channels * tap_tiles);
  let begin = split * params.pixels_per_split;
  if (begin >= params.pixels) {
    return;
  }
  let end = min(begin + params.pixels_per_split, params.pixels);
  let input_channel = column0 / (columns / params.groups) * channels + channel;

  // Input pixel = output pixel · stride + shift. Negative places wrap round and fail the comparison below.
  var shift_y: array<u32, TAPS>;
  var shift_x: array<u32, TAPS>;
  for (var t = 0u; t < TAPS; t++) { // unroll
    shift_y[t] = (tap0 + t) / params.kernel_x * params.dilation_y - params.pad_top;
    shift_x[t] = (tap0 + t) % params.kernel_x * params.dilation_x - params.pad_left;
  }

  var sum: array<f32, TAPS * CHANNELS>;
  var x = begin % output_width;
  var y = begin / output_width % output_height;
  var image = begin / (output_width * output_height) * height;
  for (var pixel = begin; pixel < end; pixel++) {
    var gradients: array<f32, CHANNELS>;
    for (var i = 0u; i < CHANNELS; i++) { // unroll
      gradients[i] = output_gradient[pixel * columns + column0 + i];
    }
    for (var t = 0u; t < TAPS; t++) { // unroll
      let input_y = y * stride_y + shift_y[t];
      let input_x = x * stride_x + shift_x[t];
      let inside = input_y < height && input_x < width;
      let value = input[select(0u, ((image + input_y) * width + input_x) * input_channels + input_channel, inside)];
      for (var i = 0u; i < CHANNELS; i++) { // unroll
        sum[t * CHANNELS + i] += select(0.0, value * gradients[i], inside);
      }
    }
    x++;
    if (x == output_width) {
      x = 0u;
      y++;
    }
    if (y == output_height) {
      y = 0u;
      image += height;
    }
  }

  for (var t = 0u; t < TAPS; t++) { // unroll
    if (tap0 + t < taps) {
      for (var i = 0u; i < CHANNELS; i++) { // unroll
        partials[((split * taps + tap0 + t) * channels + channel) * columns + column0 + i] = sum[t * CHANNELS + i];
      }
    }
  }
}
