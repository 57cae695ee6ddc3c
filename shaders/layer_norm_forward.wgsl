// Layer normalisation (Ba, Kiros & Hinton 2016):
//   output = (input - mean) * inverse * scale + shift,  inverse = 1 / sqrt(variance + epsilon), mean and variance over the row
//
// input, output  [rows, 4 * columns]
// scale, shift   [4 * columns]
// statistics     [rows, 2]: mean, inverse
//
// Only the first `channels` of a row count; the up to three columns after them are padding. LANES threads share a row and meet in a tree:
// one where a subgroup's loads cost the same wherever they lie (software), enough to read whole cache lines elsewhere. Sums are taken of the distance to
// the row's first value, which cannot cancel badly (see batch_norm_statistics).

const LANES: u32 = 32u; // a power of two up to 64

struct Params {
  columns: u32,
  channels: u32,
  rows: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> scale: array<vec4f>;
@group(0) @binding(3) var<storage, read> shift: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> statistics: array<vec2f>;

var<workgroup> sums: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = params.columns;
  let channels = params.channels;
  let row = (workgroup.x + workgroup.y * workgroups.x) * (64u / LANES) + thread / LANES;
  let lane = thread % LANES;
  let inside = row < params.rows;
  let start = row * columns;
  let end = select(start, start + columns, inside);
  let origin = input[min(start, params.rows * columns - 1u)].x;
  var sum = vec4f();
  var squares = vec4f();
  for (var i = start + lane; i < end; i += LANES) {
    let counts = vec4u(0u, 1u, 2u, 3u) + 4u * (i - start) < vec4u(channels);
    let distance = select(vec4f(), input[i] - origin, counts);
    sum += distance;
    squares += distance * distance;
  }
  sums[thread] = vec2f((sum.x + sum.y) + (sum.z + sum.w), (squares.x + squares.y) + (squares.z + squares.w));
  for (var width = LANES / 2u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (lane < width) {
      sums[thread] += sums[thread + width];
    }
  }
  workgroupBarrier();
  let total = sums[thread - lane];
  let distance = total.x / f32(channels);
  let mean = origin + distance;
  let inverse = 1.0 / sqrt((total.y - total.x * distance) / f32(channels) + params.epsilon);
  for (var i = start + lane; i < end; i += LANES) {
    let column = i - start;
    output[i] = (input[i] - mean) * inverse * scale[column] + shift[column];
  }
  if (inside && lane == 0u) {
    statistics[row] = vec2f(mean, inverse);
  }
}
