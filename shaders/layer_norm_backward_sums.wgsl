// First stage of the gradients of layer normalisation's scale and shift: per channel and chunk of rows Σ g·x̂ and Σ g, where
//   x̂ = (input - mean) * inverse, g = output_gradient
//
// input, output_gradient  [rows, C], C = 4 * columns
// statistics              [rows, 2]: mean, inverse
// partials                [chunks, 2, C]: Σ g·x̂, then Σ g
//
// A thread owns four channels and walks the rows of one chunk, without workgroup memory.

struct Params {
  columns: u32,
  rows: u32,
  rows_per_chunk: u32,
  chunks: u32, // none of them is empty
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read> statistics: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> partials: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = params.columns;
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + thread;
  let column = index % columns;
  let chunk = index / columns;
  if (chunk >= params.chunks) {
    return;
  }
  let first = chunk * params.rows_per_chunk;
  let end = min(first + params.rows_per_chunk, params.rows);
  var products = vec4f();
  var sum = vec4f();
  for (var row = first; row < end; row++) {
    let i = row * columns + column;
    let moments = statistics[row];
    let gradient = output_gradient[i];
    products += gradient * ((input[i] - moments.x) * moments.y);
    sum += gradient;
  }
  let at = chunk * 2u * columns + column;
  partials[at] = products;
  partials[at + columns] = sum;
}
