// What forward convolutions share: sizes, all bindings but the input's, and what follows the sum.

// #include "lib/rectify.wgsl"

const BIAS: bool = false;
const RESIDUAL: bool = false;
const RELU: bool = false;

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
  groups: u32, // workgroups with work: row tiles · column tiles
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read> residual: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> output: array<vec4f>;

// The bias of four channels, or zero.
fn offset_of(quad: u32) -> vec4f {
  if (BIAS) {
    return bias[quad];
  }
  return vec4f();
}

// Writes act(sum + residual), act being the identity or max(0, ·), of four channels of one pixel, at `at` in vec4.
fn finish(at: u32, sum: vec4f) {
  var value = sum;
  if (RESIDUAL) {
    value += residual[at];
  }
  if (RELU) {
    value = rectify(value);
  }
  output[at] = value;
}
