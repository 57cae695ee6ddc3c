// Second stage of the gradients of a normalisation's scale and shift: adds the chunks' sums.
//
// partials [chunks, 2, channels]: of the scale, then of the shift; scale_gradient, shift_gradient [channels].
//
// `lanes` threads (a power of two up to 64) share a channel and meet in a tree: a fixed order.

struct Params {
  channels: u32,
  chunks: u32,
  lanes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> scale_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> shift_gradient: array<f32>;

var<workgroup> sums: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channels = params.channels;
  let channels_per_group = 64u / params.lanes;
  let channel = (workgroup.x + workgroup.y * workgroups.x) * channels_per_group + thread % channels_per_group;
  let lane = thread / channels_per_group;
  let inside = channel < channels;
  var sum = vec2f();
  if (inside) {
    for (var chunk = lane; chunk < params.chunks; chunk += params.lanes) {
      let at = chunk * 2u * channels + channel;
      sum += vec2f(partials[at], partials[at + channels]);
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
    scale_gradient[channel] = sums[thread].x;
    shift_gradient[channel] = sums[thread].y;
  }
}
