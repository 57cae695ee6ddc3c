// The divergences between softmax(logits / T) and a target, T the temperature; T² keeps gradients of one size for all temperatures
// (Hinton, Vinyals & Dean 2015). For kernels that bind `logits` and `targets`; rows are walked four classes at a time.

// #include "lib/nan.wgsl"

const KIND: u32 = 0u;
const KL: u32 = 0u; // T² Σ t (log t - log p)
const CROSS_ENTROPY: u32 = 1u; // -T² Σ t log p
const MULTI_TARGET: u32 = 2u; // -T² log max(t p), the multi-label loss of FER+ (Barsoum, Zhang, Canton Ferrer & Zhang 2016)

// 0 log 0 = 0. Numbers below the smallest normal float32 count as 0: some devices take them for 0 in one place and not in the other.
fn is_zero(share: f32) -> bool {
  return (bitcast<u32>(share) & 0x7fffffffu) < 0x00800000u;
}

// The logits / T of four classes from `i` on; behind the last class, the last again.
fn four_logits(i: u32, end: u32, temperature: f32) -> vec4f {
  let at = min(i + vec4u(0u, 1u, 2u, 3u), vec4u(end - 1u));
  return vec4f(logits[at.x], logits[at.y], logits[at.z], logits[at.w]) / temperature;
}

fn four_targets(i: u32, end: u32) -> vec4f {
  let at = min(i + vec4u(0u, 1u, 2u, 3u), vec4u(end - 1u));
  return vec4f(targets[at.x], targets[at.y], targets[at.z], targets[at.w]);
}

// The maximum of a row of logits / T, and the logarithm of the sum of exponentials above it, in one pass (see softmax_forward.wgsl).
fn normaliser_of(start: u32, end: u32, temperature: f32) -> vec2f {
  var top = -3.4028234e38;
  var sum = 0.0;
  for (var i = start; i < end; i += 4u) {
    let x = four_logits(i, end, temperature);
    let higher = max(max(top, x.x), max(x.y, max(x.z, x.w)));
    let terms = select(vec4f(), exp(x - higher), i + vec4u(0u, 1u, 2u, 3u) < vec4u(end));
    sum = sum * exp(top - higher) + ((terms.x + terms.y) + (terms.z + terms.w));
    top = higher;
  }
  return vec2f(top, log(sum));
}

// log p of four classes.
fn four_log_probabilities(i: u32, end: u32, temperature: f32, normaliser: vec2f) -> vec4f {
  return four_logits(i, end, temperature) - normaliser.x - normaliser.y;
}
