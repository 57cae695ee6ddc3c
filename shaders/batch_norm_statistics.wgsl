// First stage of batch normalisation's statistics: the mean of each channel over a chunk of rows, and the sum of squared deviations from it.
//
// input    [rows, C], C = 4 * columns; the rows are all images' pixels, or some of them
// moments  [1 + chunks, 2, C]: first those of the batch, which batch_norm_forward writes, then by chunk means and sums of squares
//
// A workgroup takes one chunk of a block of columns. A lane sums the distance to its first row k: m = k + Σ(x - k) / n,
// Σ(x - m)² = Σ(x - k)² - (Σ(x - k))² / n. As k is one of the values, (k - m)² is at most Σ(x - m)²: the difference loses at most log2(n + 1) bits,
// however far the mean lies from zero.

// #include "lib/moments.wgsl"

struct Params {
  columns: u32,
  block: u32,
  rows: u32,
  rows_per_chunk: u32,
  first_chunk: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> moments: array<vec4f>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = params.columns;
  let place = place_of(workgroup.x + workgroup.y * workgroups.x, thread, columns, params.block);
  let first = place.part * params.rows_per_chunk;
  let end = min(first + params.rows_per_chunk, params.rows);
  let begin = first + place.lane;
  let centre = input[min(first, params.rows - 1u) * columns + place.column];
  var own = Moments();
  if (begin < end) {
    let origin = input[begin * columns + place.column];
    var sum = vec4f();
    var squares = vec4f();
    for (var row = begin + place.lanes; row < end; row += place.lanes) {
      let distance = input[row * columns + place.column] - origin;
      sum += distance;
      squares += distance * distance;
    }
    let count = f32((end - begin + place.lanes - 1u) / place.lanes);
    let shift = sum / count;
    own = Moments(count, origin - centre + shift, squares - sum * shift);
  }
  let all = merged_lanes(own, thread, params.block);
  if (place.lane == 0u && first < end) {
    let at = (1u + params.first_chunk + place.part) * 2u * columns + place.column;
    moments[at] = centre + all.mean;
    moments[at + columns] = all.squares;
  }
}
