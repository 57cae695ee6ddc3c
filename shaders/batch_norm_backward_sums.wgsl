// First stage of the gradients of batch normalisation: per channel and chunk of rows Σ g·x̂ and Σ g, where
//   x̂ = (input - mean) / sqrt(variance + epsilon)
//   g = output_gradient, and with RELU 0 where the output is not positive
//
// input, output (with RELU; else any tensor), output_gradient  [rows, C], C = 4 * columns; all rows or some of them
// moments                                                      [·, 2, C]: first mean and variance
// masked_gradient                                              [rows, C]: g, with RELU; else any other tensor, untouched
// partials                                                     [chunks, 2, C]: Σ g·x̂, then Σ g
//
// g is what the input's gradient is made of, and the residual's gradient itself: writing it here costs no more traffic than masking twice.
// Work divided as in batch_norm_statistics.

// #include "lib/column_blocks.wgsl"

const RELU: bool = false;

struct Params {
  columns: u32,
  block: u32,
  rows: u32,
  rows_per_chunk: u32,
  first_chunk: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> output: array<vec4f>;
@group(0) @binding(3) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(4) var<storage, read> moments: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> masked_gradient: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> partials: array<vec4f>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = params.columns;
  let place = place_of(workgroup.x + workgroup.y * workgroups.x, thread, columns, params.block);
  let centre = moments[place.column];
  let first = place.part * params.rows_per_chunk;
  let end = min(first + params.rows_per_chunk, params.rows);
  var products = vec4f(); // of g and the centred input
  var sum = vec4f();
  for (var i = min(first + place.lane, end) * columns + place.column; i < end * columns; i += place.lanes * columns) {
    var gradient = output_gradient[i];
    if (RELU) {
      gradient = select(gradient, vec4f(), output[i] <= vec4f());
      masked_gradient[i] = gradient;
    }
    products += gradient * (input[i] - centre);
    sum += gradient;
  }
  let sums = lane_sums(products, sum, thread, params.block);
  if (place.lane == 0u && first < end) {
    let at = (params.first_chunk + place.part) * 2u * columns + place.column;
    partials[at] = sums[0] / sqrt(moments[columns + place.column] + params.epsilon);
    partials[at + columns] = sums[1];
  }
}
