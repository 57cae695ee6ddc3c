// input_gradient = (g - y (y·g)) / |x| for rows y = x / |x| and their gradients g: what would change a row's length is taken out.
//
// input (x), output (y), output_gradient (g), input_gradient [rows, width]; one row a thread. The gradient of a row of zeros is zero.

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> output: array<f32>;
@group(0) @binding(3) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> input_gradient: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let row = thread.x;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.width;
  let end = start + params.width;
  var square = 0.0;
  var along = 0.0;
  for (var i = start; i < end; i++) {
    square += input[i] * input[i];
    along += output[i] * output_gradient[i];
  }
  let factor = select(inverseSqrt(square), 0.0, square == 0.0);
  for (var i = start; i < end; i++) {
    input_gradient[i] = (output_gradient[i] - output[i] * along) * factor;
  }
}
