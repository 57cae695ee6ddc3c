// Batch normalisation:
//   output = act((input - mean) / sqrt(variance + epsilon) * scale + shift + residual), act = max(0, ·) where relu is 1
// with the running values, or with BATCH_MOMENTS with mean and (biased) variance of all batch_rows, from those of the chunks, and then
//   running_mean     += momentum * (mean - running_mean)
//   running_variance += momentum * (unbiased variance - running_variance)
//
// input, residual (any tensor where has_residual is 0), output  [rows, C], C = 4 * columns; all rows or some of them
// moments                                                   [1 + chunks, 2, C]: mean and variance, written here; by chunk from batch_norm_statistics
// scale, shift, running_mean, running_variance              [C]
//
// Each workgroup merges the chunks of its columns again, which are few: that takes less than another launch. The workgroups of the first rows
// write what they found.

// #include "lib/moments.wgsl"
// #include "lib/batch_norm.wgsl"

const BATCH_MOMENTS: bool = true;

struct Params {
  columns: u32,
  block: u32,
  rows: u32,
  rows_per_part: u32,
  has_residual: u32,
  relu: u32,
  once: u32, // 1 in the one launch that writes moments and running values
  batch_rows: u32,
  rows_per_chunk: u32,
  chunks: u32,
  epsilon: f32,
  momentum: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> moments: array<vec4f>;
@group(0) @binding(3) var<storage, read> scale: array<vec4f>;
@group(0) @binding(4) var<storage, read> shift: array<vec4f>;
@group(0) @binding(5) var<storage, read> residual: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> output: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> running_mean: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> running_variance: array<vec4f>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = params.columns;
  let place = place_of(workgroup.x + workgroup.y * workgroups.x, thread, columns, params.block);
  let column = place.column;
  let writes = params.once == 1u && place.part == 0u && place.lane == 0u;
  var mean: vec4f;
  var variance: vec4f;
  if (BATCH_MOMENTS) {
    let centre = moments[2u * columns + column];
    var own = Moments();
    for (var chunk = place.lane; chunk < params.chunks; chunk += place.lanes) {
      let count = min(params.rows_per_chunk, params.batch_rows - chunk * params.rows_per_chunk);
      let at = (1u + chunk) * 2u * columns + column;
      own = merged(own, Moments(f32(count), moments[at] - centre, moments[at + columns]));
    }
    let all = merged_lanes(own, thread, params.block);
    mean = centre + all.mean;
    variance = all.squares / all.count;
    if (writes) {
      running_mean[column] += params.momentum * (mean - running_mean[column]);
      running_variance[column] += params.momentum * (all.squares / (all.count - 1.0) - running_variance[column]);
    }
  } else {
    mean = running_mean[column];
    variance = running_variance[column];
  }
  if (writes) {
    moments[column] = mean;
    moments[columns + column] = variance;
  }
  normalise(place, column, mean, variance);
}
