// Layer normalisation (Ba, Kiros & Hinton 2016):
//   output = (input - mean) * inverse * scale + shift,  inverse = 1 / sqrt(variance + epsilon), mean and variance over the row
//
// input, output  [rows, 4 * columns]
// scale, shift   [4 * columns]
// statistics     [rows, 2]: mean, inverse
//
// Only the first `channels` of a row count; with PADDED up to three columns after them are padding. Sums are taken of the distance to the row's first
// value, which cannot cancel badly (see batch_norm_statistics). LANES threads share a row (lib/rows.wgsl): one where a load costs the same wherever it
// lies (software), elsewhere enough to read whole cache lines.

// #include "lib/rows.wgsl"

const PADDED: bool = false;

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

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = params.columns;
  let channels = params.channels;
  let row = row_of(workgroup.x + workgroup.y * workgroups.x, thread, params.rows, columns);
  let first = row.start + row.lane;
  let origin = input[min(row.start, params.rows * columns - 1u)].x;
  var sum = vec4f();
  var squares = vec4f();
  for (var i = first; i < row.end; i += LANES) {
    var distance = input[i] - origin;
    if (PADDED) {
      distance = select(vec4f(), distance, 4u * (i - row.start) + vec4u(0u, 1u, 2u, 3u) < vec4u(channels));
    }
    sum += distance;
    squares += distance * distance;
  }
  let total = row_sum((sum.x + sum.y) + (sum.z + sum.w), thread);
  let total_squares = row_sum((squares.x + squares.y) + (squares.z + squares.w), thread);
  let distance = total / f32(channels);
  let mean = origin + distance;
  let inverse = 1.0 / sqrt((total_squares - total * distance) / f32(channels) + params.epsilon);
  for (var i = first; i < row.end; i += LANES) {
    let column = i - row.start;
    output[i] = (input[i] - mean) * inverse * scale[column] + shift[column];
  }
  if (row.lane == 0u && row.start < row.end) {
    statistics[row.start / columns] = vec2f(mean, inverse);
  }
}
