// Gradient of softmax(scale · input) over rows, p the probabilities and g the output's gradient:
//   input_gradient = scale * p * (g - Σ g p);        LOG: input_gradient = scale * (g - p * Σ g)
//
// output: what the forward kernel gave, p or with LOG log p; output, output_gradient, input_gradient: [rows, 4 · quads], of which the first `length` of a
// row count: those behind them become 0
// Two passes over a row that stays in cache; see lib/rows.wgsl for how threads share it.

// #include "lib/rows.wgsl"

const LOG: bool = false;

struct Params {
  rows: u32,
  quads: u32,
  length: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output: array<vec4f>;
@group(0) @binding(2) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let length = params.length;
  let scale = params.scale;
  let row = row_of(workgroup.x + workgroup.y * workgroups.x, thread, params.rows, params.quads);
  let first = row.start + row.lane;
  var terms = vec4f();
  for (var i = first; i < row.end; i += LANES) {
    let inside = 4u * (i - row.start) + vec4u(0u, 1u, 2u, 3u) < vec4u(length);
    let gradient = output_gradient[i];
    terms += select(vec4f(), select(gradient * output[i], gradient, LOG), inside);
  }
  let sum = row_sum((terms.x + terms.y) + (terms.z + terms.w), thread);
  for (var i = first; i < row.end; i += LANES) {
    let inside = 4u * (i - row.start) + vec4u(0u, 1u, 2u, 3u) < vec4u(length);
    let value = output[i];
    let gradient = output_gradient[i];
    input_gradient[i] = select(vec4f(), scale * select(value * (gradient - sum), gradient - exp(value) * sum, LOG), inside);
  }
}
