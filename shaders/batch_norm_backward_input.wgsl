// Gradients of batch normalisation (Ioffe & Szegedy 2015, section 3):
//   scale_gradient = Σ g·x̂,  shift_gradient = Σ g,  x̂ = (input - mean) / sqrt(variance + epsilon), from the sums of the chunks
//   input_gradient = scale / sqrt(variance + epsilon) * (g - (Σ g + x̂ · Σ g·x̂) / batch_rows)
// and the last scale / sqrt(variance + epsilon) * g where mean and variance are constants, not BATCH_MOMENTS.
//
// input (with BATCH_MOMENTS; else any tensor), output_gradient (g, masked by the activation), input_gradient  [rows, C], C = 4 * columns
// moments                                 [·, 2, C]: first mean and variance
// partials                                [chunks, 2, C], from batch_norm_backward_sums
// scale, scale_gradient, shift_gradient   [C]
//
// Work divided as in batch_norm_forward, whose reasons hold here too. Without rows only the gradients of scale and shift are found.

// #include "lib/column_blocks.wgsl"

const BATCH_MOMENTS: bool = true;

struct Params {
  columns: u32,
  block: u32,
  rows: u32,
  rows_per_part: u32,
  once: u32, // 1 in the launch that writes the gradients of scale and shift
  batch_rows: u32, // what the sums are over
  chunks: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read> moments: array<vec4f>;
@group(0) @binding(4) var<storage, read> partials: array<vec4f>;
@group(0) @binding(5) var<storage, read> scale: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> scale_gradient: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> shift_gradient: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> input_gradient: array<vec4f>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = params.columns;
  let place = place_of(workgroup.x + workgroup.y * workgroups.x, thread, columns, params.block);
  let column = place.column;
  var products = vec4f();
  var sum = vec4f();
  for (var chunk = place.lane; chunk < params.chunks; chunk += place.lanes) {
    let at = chunk * 2u * columns + column;
    products += partials[at];
    sum += partials[at + columns];
  }
  let sums = lane_sums(products, sum, thread, params.block);
  if (params.once == 1u && place.part == 0u && place.lane == 0u) {
    scale_gradient[column] = sums[0];
    shift_gradient[column] = sums[1];
  }
  let inverse = 1.0 / sqrt(moments[columns + column] + params.epsilon);
  let factor = scale[column] * inverse;
  let centre = moments[column];
  let level = sums[1] / f32(params.batch_rows);
  let slope = sums[0] * inverse / f32(params.batch_rows);
  let first = place.part * params.rows_per_part;
  let end = min(first + params.rows_per_part, params.rows);
  for (var i = min(first + place.lane, end) * columns + column; i < end * columns; i += place.lanes * columns) {
    var gradient = output_gradient[i];
    if (BATCH_MOMENTS) {
      gradient -= level + slope * (input[i] - centre);
    }
    input_gradient[i] = factor * gradient;
  }
}
