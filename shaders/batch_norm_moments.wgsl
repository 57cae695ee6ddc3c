// Second stage of batch normalisation's statistics: mean and (biased) variance of each channel from those of the chunks, and the running values
//   running_mean     += momentum * (mean - running_mean)
//   running_variance += momentum * (unbiased variance - running_variance)
//
// partials [chunks, 2, channels] from batch_norm_statistics; mean, variance, running_mean, running_variance [channels].
//
// A chunk's mean differs from that of chunk 0 by d, and adds n·d to the sum and (its squares + n·d²) to the sum of squares about that origin, for
// the reason given in batch_norm_statistics. A channel's chunks are shared by LANES threads as in lib/rows.wgsl: a fixed order.

// #include "lib/rows.wgsl"

struct Params {
  channels: u32,
  rows: u32,
  rows_per_chunk: u32,
  chunks: u32,
  momentum: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> variance: array<f32>;
@group(0) @binding(4) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> running_variance: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channels = params.channels;
  let chunks = params.chunks;
  let row = row_of(workgroup.x + workgroup.y * workgroups.x, thread, channels, chunks);
  let channel = row.start / chunks;
  let end = row.end - row.start;
  let rows_per_chunk = params.rows_per_chunk;
  let origin = partials[min(channel, channels - 1u)];
  var sum = 0.0; // of the distances to the origin
  var squares = 0.0;
  for (var chunk = row.lane; chunk < end; chunk += LANES) {
    let count = f32(min(rows_per_chunk, params.rows - chunk * rows_per_chunk));
    let at = chunk * 2u * channels + channel;
    let distance = partials[at] - origin;
    sum += count * distance;
    squares += partials[at + channels] + count * distance * distance;
  }
  sum = row_sum(sum, thread);
  squares = row_sum(squares, thread);
  if (row.lane == 0u && channel < channels) {
    let rows = f32(params.rows);
    let shift = sum / rows;
    squares -= sum * shift;
    mean[channel] = origin + shift;
    variance[channel] = squares / rows;
    running_mean[channel] += params.momentum * (origin + shift - running_mean[channel]);
    running_variance[channel] += params.momentum * (squares / (rows - 1.0) - running_variance[channel]);
  }
}
