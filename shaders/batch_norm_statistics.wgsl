// First stage of batch normalisation's statistics: the mean of each channel over a chunk of rows, and the sum of squared deviations from it.
//
// input     [rows, C], C = 4 * columns; the rows are all images' pixels
// partials  [chunks, 2, C]: means, then sums of squares
//
// A thread owns four channels and walks the rows of one chunk, without workgroup memory; threads of neighbouring index own neighbouring channels.
// Sums are taken of the distance to the chunk's first row k: m = k + Σ(x - k) / n, Σ(x - m)² = Σ(x - k)² - (Σ(x - k))² / n. As k is one of the
// values, (k - m)² is at most Σ(x - m)²: the difference loses at most log2(n + 1) bits, however far the mean lies from zero.

struct Params {
  columns: u32,
  rows: u32,
  rows_per_chunk: u32,
  chunks: u32, // none of them is empty
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4f>;

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
  let count = min(params.rows_per_chunk, params.rows - first);
  let begin = first * columns + column;
  let end = begin + count * columns;
  let origin = input[begin];
  var sum = vec4f();
  var squares = vec4f();
  for (var i = begin + columns; i < end; i += columns) {
    let distance = input[i] - origin;
    sum += distance;
    squares += distance * distance;
  }
  let shift = sum / f32(count);
  let at = chunk * 2u * columns + column;
  partials[at] = origin + shift;
  partials[at + columns] = squares - sum * shift;
}
