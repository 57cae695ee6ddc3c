// First stage of the gradients of batch normalisation's scale and shift: per channel and chunk of rows Σ g·x̂ and Σ g, where
//   x̂ = (input - mean) / sqrt(variance + epsilon)
//   g = output_gradient, and with RELU 0 where the output is not positive
//
// input, output (with RELU; else any tensor), output_gradient  [rows, C], C = 4 * columns
// mean, variance                                               [C]
// masked_gradient                                              [rows, C]: g, with RELU; else any other tensor, untouched
// partials                                                     [chunks, 2, C]: Σ g·x̂, then Σ g
//
// g is what the input's gradient is made of, and the residual's gradient itself: writing it here costs no more traffic than masking twice.
// A thread owns four channels and walks the rows of one chunk, without workgroup memory.

const RELU: bool = false;

struct Params {
  columns: u32,
  rows: u32,
  rows_per_chunk: u32,
  chunks: u32, // none of them is empty
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> output: array<vec4f>;
@group(0) @binding(3) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(4) var<storage, read> mean: array<vec4f>;
@group(0) @binding(5) var<storage, read> variance: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> masked_gradient: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> partials: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = params.columns;
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + thread;
  let column = index % columns;
  let chunk = index / columns;
  if (chunk >= params.chunks) {
    return;
  }
  let centre = mean[column];
  let first = chunk * params.rows_per_chunk;
  let end = min(first + params.rows_per_chunk, params.rows) * columns;
  var products = vec4f(); // of g and the centred input
  var sum = vec4f();
  for (var i = first * columns + column; i < end; i += columns) {
    var gradient = output_gradient[i];
    if (RELU) {
      gradient = select(gradient, vec4f(), output[i] <= vec4f());
      masked_gradient[i] = gradient;
    }
    products += gradient * (input[i] - centre);
    sum += gradient;
  }
  let at = chunk * 2u * columns + column;
  partials[at] = products / sqrt(variance[column] + params.epsilon);
  partials[at + columns] = sum;
}
