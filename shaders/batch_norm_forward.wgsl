// Batch normalisation with given moments:
//   output = act((input - mean) / sqrt(variance + epsilon) * scale + shift + residual), act = max(0, ·) with RELU
//
// input, residual (with RESIDUAL; else any tensor), output  [rows, C], C = 4 * columns
// mean, variance, scale, shift                              [C]
//
// A thread owns four channels and walks a few rows, so that the channels' constants are loaded once for all of them. The mean is subtracted first:
// folded into the shift, a mean far from zero would cancel badly.

// #include "lib/rectify.wgsl"

const RELU: bool = false;
const RESIDUAL: bool = false;

struct Params {
  columns: u32,
  rows: u32,
  rows_per_thread: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> mean: array<vec4f>;
@group(0) @binding(3) var<storage, read> variance: array<vec4f>;
@group(0) @binding(4) var<storage, read> scale: array<vec4f>;
@group(0) @binding(5) var<storage, read> shift: array<vec4f>;
@group(0) @binding(6) var<storage, read> residual: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = params.columns;
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + thread;
  let column = index % columns;
  let first = index / columns * params.rows_per_thread;
  if (first >= params.rows) {
    return;
  }
  let centre = mean[column];
  let factor = scale[column] / sqrt(variance[column] + params.epsilon);
  let offset = shift[column];
  let end = min(first + params.rows_per_thread, params.rows) * columns;
  for (var i = first * columns + column; i < end; i += columns) {
    var value = (input[i] - centre) * factor + offset;
    if (RESIDUAL) {
      value += residual[i];
    }
    if (RELU) {
      value = rectify(value);
    }
    output[i] = value;
  }
}
