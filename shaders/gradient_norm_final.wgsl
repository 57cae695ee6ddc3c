// Second stage of the global norm of the gradients, and what clipping by it makes of them (Pascanu et al. 2013, algorithm 1):
//   norm = unscale * sqrt(sum of partials)        clip_factor = unscale * min(1, clip_norm / norm)
// unscale takes back by what the loss was multiplied; it is a power of two, which rounds nothing.
//
// partials: [count]; norm, clip_factor: [1]. A norm that is not finite is the factor too, by which the optimisers know to leave the parameters alone: so
// gradients beyond 1.8e19, whose squares overflow, are told, not silently turned into a step of zero.
// One workgroup, each thread sums every 64th partial, then a tree: a fixed order. The partials are few (one per 16,384 gradients).

struct Params {
  count: u32,
  clip_norm: f32,
  unscale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;
@group(0) @binding(3) var<storage, read_write> clip_factor: array<f32>;

const EXPONENT: u32 = 0x7f800000u;
const SMALLEST: f32 = 1e-30; // of a norm of zero nothing is to be clipped

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  for (var i = thread; i < params.count; i += 64u) {
    sum += partials[i];
  }
  sums[thread] = sum;
  for (var width = 32u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (thread < width) {
      sums[thread] += sums[thread + width];
    }
  }
  if (thread == 0u) {
    let total = params.unscale * sqrt(sums[0]);
    let finite = (bitcast<u32>(total) & EXPONENT) != EXPONENT;
    norm[0] = total;
    clip_factor[0] = select(total, params.unscale * min(1.0, params.clip_norm / max(total, SMALLEST)), finite);
  }
}
