// Second stage of the gradients of a normalisation's scale and shift: adds the chunks' sums.
//
// partials [chunks, 2, channels]: of the scale, then of the shift; scale_gradient, shift_gradient [channels].
//
// A channel's chunks are shared by LANES threads as in lib/rows.wgsl: a fixed order.

// #include "lib/rows.wgsl"

struct Params {
  channels: u32,
  chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> scale_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> shift_gradient: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channels = params.channels;
  let chunks = params.chunks;
  let row = row_of(workgroup.x + workgroup.y * workgroups.x, thread, channels, chunks);
  let channel = row.start / chunks;
  let end = row.end - row.start;
  var scale_sum = 0.0;
  var shift_sum = 0.0;
  for (var chunk = row.lane; chunk < end; chunk += LANES) {
    let at = chunk * 2u * channels + channel;
    scale_sum += partials[at];
    shift_sum += partials[at + channels];
  }
  scale_sum = row_sum(scale_sum, thread);
  shift_sum = row_sum(shift_sum, thread);
  if (row.lane == 0u && channel < channels) {
    scale_gradient[channel] = scale_sum;
    shift_gradient[channel] = shift_sum;
  }
}
