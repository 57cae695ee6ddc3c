// Gradient of layer normalisation in its input. With x̂ = (input - mean) * inverse, h = output_gradient * scale, and means over the row's channels:
//   input_gradient = inverse * (h - mean(h) - x̂ * mean(h·x̂))
//
// input, output_gradient, input_gradient  [rows, 4 * columns], padding (see layer_norm_forward) with gradient 0
// scale                                   [4 * columns]
// statistics                              [rows, 2]: mean, inverse
//
// Work divided as in layer_norm_forward.

const LANES: u32 = 32u; // a power of two up to 64

struct Params {
  columns: u32,
  channels: u32,
  rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read> scale: array<vec4f>;
@group(0) @binding(4) var<storage, read> statistics: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> input_gradient: array<vec4f>;

var<workgroup> sums: array<vec2f, 64>; // of h, of h·(input - mean)

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = params.columns;
  let row = (workgroup.x + workgroup.y * workgroups.x) * (64u / LANES) + thread / LANES;
  let lane = thread % LANES;
  let start = row * columns;
  let end = select(start, start + columns, row < params.rows);
  let moments = statistics[min(row, params.rows - 1u)];
  let mean = moments.x;
  let inverse = moments.y;
  var sum = vec4f();
  var products = vec4f();
  for (var i = start + lane; i < end; i += LANES) {
    let gradient = output_gradient[i] * scale[i - start];
    sum += gradient;
    products += gradient * (input[i] - mean);
  }
  sums[thread] = vec2f((sum.x + sum.y) + (sum.z + sum.w), (products.x + products.y) + (products.z + products.w));
  for (var width = LANES / 2u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (lane < width) {
      sums[thread] += sums[thread + width];
    }
  }
  workgroupBarrier();
  let total = sums[thread - lane] / f32(params.channels);
  let level = total.x;
  let slope = total.y * inverse * inverse;
  for (var i = start + lane; i < end; i += LANES) {
    let gradient = output_gradient[i] * scale[i - start];
    input_gradient[i] = inverse * (gradient - level - slope * (input[i] - mean));
  }
}
