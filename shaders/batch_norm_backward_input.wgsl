// Gradient of batch normalisation in its input (Ioffe & Szegedy 2015, section 3):
//   input_gradient = scale / sqrt(variance + epsilon) * (g - (Σg + x̂ · Σg·x̂) / batch_rows),  x̂ = (input - mean) / sqrt(variance + epsilon)
// and scale / sqrt(variance + epsilon) * g where mean and variance are constants, not BATCH_MOMENTS.
//
// input, output_gradient (g, masked by the activation), input_gradient  [rows, C], C = 4 * columns
// mean, variance, scale, scale_gradient (Σg·x̂), shift_gradient (Σg)      [C]
// Without BATCH_MOMENTS input, mean, scale_gradient and shift_gradient may be any tensors.
//
// Work divided as in batch_norm_forward.

const BATCH_MOMENTS: bool = true;

struct Params {
  columns: u32,
  rows: u32,
  batch_rows: u32, // what the sums are over, where the rows bound are only some
  rows_per_thread: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read> mean: array<vec4f>;
@group(0) @binding(4) var<storage, read> variance: array<vec4f>;
@group(0) @binding(5) var<storage, read> scale: array<vec4f>;
@group(0) @binding(6) var<storage, read> scale_gradient: array<vec4f>;
@group(0) @binding(7) var<storage, read> shift_gradient: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> input_gradient: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = params.columns;
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + thread;
  let column = index % columns;
  let first = index / columns * params.rows_per_thread;
  if (first >= params.rows) {
    return;
  }
  let inverse = 1.0 / sqrt(variance[column] + params.epsilon);
  let factor = scale[column] * inverse;
  var centre = vec4f();
  var level = vec4f();
  var slope = vec4f();
  if (BATCH_MOMENTS) {
    centre = mean[column];
    level = shift_gradient[column] / f32(params.batch_rows);
    slope = scale_gradient[column] * inverse / f32(params.batch_rows);
  }
  let end = min(first + params.rows_per_thread, params.rows) * columns;
  for (var i = first * columns + column; i < end; i += columns) {
    var gradient = output_gradient[i];
    if (BATCH_MOMENTS) {
      gradient -= level + slope * (input[i] - centre);
    }
    input_gradient[i] = factor * gradient;
  }
}
