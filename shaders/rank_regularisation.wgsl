// Rank regularisation (Wang et al. 2020, "Suppressing uncertainties for large-scale facial expression recognition", eq. 3): the `high_count` largest of the
// importance weights of a batch are its high group, the others its low group, and the means of both shall lie at least `margin` apart:
//   loss = max(0, margin - (mean of high - mean of low)),  gradient -1 / high_count or 1 / (count - high_count) where the loss is above 0
//
// importance, gradient, high (1 in the high group, else 0) [count]; loss [1]
// One workgroup, which must know both sums; of equal weights the earlier ranks higher.

struct Params {
  count: u32,
  high_count: u32,
  margin: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> importance: array<f32>;
@group(0) @binding(2) var<storage, read_write> high: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> loss: array<f32>;

// Sums of a thread's part of the high and of the low group.
var<workgroup> parts: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
  let count = params.count;
  var sums = vec2f();
  for (var i = thread; i < count; i += 64u) {
    let own = importance[i];
    var above = 0u;
    for (var other = 0u; other < count; other++) {
      let theirs = importance[other];
      above += select(0u, 1u, theirs > own || (theirs == own && other < i));
    }
    let is_high = above < params.high_count;
    high[i] = select(0.0, 1.0, is_high);
    sums += select(vec2f(0.0, own), vec2f(own, 0.0), is_high);
  }
  parts[thread] = sums;
  workgroupBarrier();
  var total = vec2f();
  for (var part = 0u; part < 64u; part++) {
    total += parts[part];
  }
  let high_count = f32(params.high_count);
  let low_count = f32(count - params.high_count);
  let missing = params.margin - (total.x / high_count - total.y / low_count);
  // Not by max, which would hide NaN.
  let is_active = !(missing <= 0.0);
  if (thread == 0u) {
    loss[0] = select(0.0, missing, is_active);
  }
  for (var i = thread; i < count; i += 64u) {
    let slope = select(1.0 / low_count, -1.0 / high_count, high[i] > 0.0);
    gradient[i] = select(0.0, slope, is_active);
  }
}
