// output[n, :] = input[n, :] / |input[n, :]|: rows of length 1, points on a sphere. A row of zeros stays so.
//
// input, output [rows, width]; one row a thread

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let row = thread.x;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.width;
  let end = start + params.width;
  var square = 0.0;
  for (var i = start; i < end; i++) {
    square += input[i] * input[i];
  }
  let factor = select(inverseSqrt(square), 0.0, square == 0.0);
  for (var i = start; i < end; i++) {
    output[i] = input[i] * factor;
  }
}
