// Second stage of batch normalisation's statistics: mean and (biased) variance of each channel from those of the chunks, and the running values
//   running_mean     += momentum * (mean - running_mean)
//   running_variance += momentum * (unbiased variance - running_variance)
//
// partials [chunks, 2, channels] from batch_norm_statistics; mean, variance, running_mean, running_variance [channels].
//
// A chunk's mean differs from that of chunk 0 by d, and adds n·d to the sum and (its squares + n·d²) to the sum of squares about that origin, for
// the reason given in batch_norm_statistics. `lanes` threads (a power of two up to 64) share a channel and meet in a tree: a fixed order.

struct Params {
  channels: u32,
  rows: u32,
  rows_per_chunk: u32,
  chunks: u32,
  lanes: u32,
  momentum: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> variance: array<f32>;
@group(0) @binding(4) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> running_variance: array<f32>;

var<workgroup> sums: array<vec2f, 64>; // of d, of squares

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channels = params.channels;
  let channels_per_group = 64u / params.lanes;
  let channel = (workgroup.x + workgroup.y * workgroups.x) * channels_per_group + thread % channels_per_group;
  let lane = thread / channels_per_group;
  let inside = channel < channels;
  let origin = partials[min(channel, channels - 1u)];
  var sum = vec2f();
  if (inside) {
    for (var chunk = lane; chunk < params.chunks; chunk += params.lanes) {
      let count = f32(min(params.rows_per_chunk, params.rows - chunk * params.rows_per_chunk));
      let at = chunk * 2u * channels + channel;
      let distance = partials[at] - origin;
      sum += vec2f(count * distance, partials[at + channels] + count * distance * distance);
    }
  }
  sums[thread] = sum;
  for (var width = params.lanes / 2u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (lane < width) {
      sums[thread] += sums[thread + width * channels_per_group];
    }
  }
  if (inside && lane == 0u) {
    let rows = f32(params.rows);
    let shift = sums[thread].x / rows;
    let squares = sums[thread].y - sums[thread].x * shift;
    mean[channel] = origin + shift;
    variance[channel] = squares / rows;
    running_mean[channel] += params.momentum * (origin + shift - running_mean[channel]);
    running_variance[channel] += params.momentum * (squares / (rows - 1.0) - running_variance[channel]);
  }
}
