// Gradient of a convolution of any sizes in any number of groups with respect to its input (the formula of conv2d_backward_input.wgsl):
//   input_gradient[n, y, x, c] = Σ_{ky, kx, o} output_gradient[n, (y + pad_top − ky·dilation_y) / stride_y, (x + pad_left − kx·dilation_x) / stride_x, o]
//                                              · weight[ky, kx, c', o]
// over the taps that divide and lie inside, and the output channels o of c's group, in which c is the c'-th.
//
// output_gradient  [batch, output_height, output_width, groups · depth]
// weight           [kernel_y, kernel_x, channels, groups · depth]        channels, those of one group's input, a multiple of CHANNELS
// input_gradient   [batch, height, width, groups · channels]
//
// A thread computes CHANNELS neighbouring channels of one group in PIXELS neighbouring pixels.

const CHANNELS: u32 = 4u; // 1 where a group's input channels are no multiple of 4, as in a depthwise convolution
const PIXELS: u32 = 4u;

struct Params {
  batch: u32,
  height: u32,
  width: u32,
  channels: u32, // of one group's input
  output_height: u32,
  output_width: u32,
  depth: u32, // output channels of one group
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
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let thread = (workgroup_id.x + workgroup_id.y * num_workgroups.x) * 64u + local;
  let stride_y = i32(params.stride_y);
  let stride_x = i32(params.stride_x);
  let output_height = params.output_height;
  let output_width = params.output_width;
  let channels = params.channels;
  let depth = params.depth;
  let kernel_y = params.kernel_y;
  let kernel_x = params.kernel_x;
  let dilation_y = params.dilation_y;
  let dilation_x = params.dilation_x;
  let input_channels = params.groups * channels;
  let output_channels = params.groups * depth;
  let pixels = params.batch * params.height * params.width;
  let channel0 = thread % (input_channels / CHANNELS) * CHANNELS;
  let pixel0 = thread / (input_channels / CHANNELS) * PIXELS;
  if (pixel0 >= pixels) {
    return;
  }
  let column0 = channel0 / channels * depth;

  // The image, and the place under the kernel's first tap, in steps of an input pixel. The first pixel's place takes divisions, which are slow, the
  // others follow from it.
  var image: array<u32, PIXELS>;
  var bottom: array<u32, PIXELS>;
  var right: array<u32, PIXELS>;
  let width = params.width;
  let height = params.height;
  let line0 = pixel0 / width;
  var x = pixel0 - line0 * width;
  var n = line0 / height;
  var y = line0 - n * height;
  for (var p = 0u; p < PIXELS; p++) { // unroll
    image[p] = n * output_height;
    bottom[p] = y + params.pad_top;
    right[p] = x + params.pad_left;
    x++;
    let line_done = x == width;
    x = select(x, 0u, line_done);
    y += select(0u, 1u, line_done);
    let image_done = y == height;
    y = select(y, 0u, image_done);
    n += select(0u, 1u, image_done && pixel0 + p + 1u < pixels);
  }
  // Quotients of whole numbers this small are exact in f32, and vectorise.
  let per_stride_y = 1.0 / f32(stride_y);
  let per_stride_x = 1.0 / f32(stride_x);

  var sum: array<f32, PIXELS * CHANNELS>;
  for (var ky = 0u; ky < kernel_y; ky++) {
    var line: array<u32, PIXELS>;
    var line_inside: array<bool, PIXELS>;
    for (var p = 0u; p < PIXELS; p++) { // unroll
      let from_y = i32(bottom[p]) - i32(ky * dilation_y);
      let to_y = i32((f32(from_y) + 0.5) * per_stride_y);
      line_inside[p] = to_y * stride_y == from_y && u32(to_y) < output_height; // false for negative places
      line[p] = (image[p] + u32(to_y)) * output_width;
    }
    for (var kx = 0u; kx < kernel_x; kx++) {
      var at: array<u32, PIXELS>;
      var inside: array<bool, PIXELS>;
      var any_inside = false;
      for (var p = 0u; p < PIXELS; p++) { // unroll
        let from_x = i32(right[p]) - i32(kx * dilation_x);
        let to_x = i32((f32(from_x) + 0.5) * per_stride_x);
        inside[p] = line_inside[p] && to_x * stride_x == from_x && u32(to_x) < output_width;
        at[p] = select(0u, (line[p] + u32(to_x)) * output_channels + column0, inside[p]);
        any_inside |= inside[p];
      }
      if (!any_inside) {
        continue;
      }
      let weight_at = ((ky * kernel_x + kx) * channels + channel0 % channels) * output_channels + column0;
      for (var column = 0u; column < depth; column++) {
        var weights: array<f32, CHANNELS>;
        for (var i = 0u; i < CHANNELS; i++) { // unroll
          weights[i] = weight[weight_at + i * output_channels + column];
        }
        for (var p = 0u; p < PIXELS; p++) { // unroll
          let value = select(0.0, output_gradient[at[p] + column], inside[p]);
          for (var i = 0u; i < CHANNELS; i++) { // unroll
            sum[p * CHANNELS + i] += value * weights[i];
          }
        }
      }
    }
  }

  for (var p = 0u; p < PIXELS; p++) { // unroll
    if (pixel0 + p < pixels) {
      for (var i = 0u; i < CHANNELS; i++) { // unroll
        input_gradient[(pixel0 + p) * input_channels + channel0 + i] = sum[p * CHANNELS + i];
      }
    }
  }
}
