// The divergences between softmax(logits / T) and a target, T the temperature; T² keeps gradients of one size for all temperatures
// (Hinton, Vinyals & Dean 2015). For kernels that bind `logits`.

// #include "lib/nan.wgsl"

const KIND: u32 = 0u;
const KL: u32 = 0u; // T² Σ t (log t - log p)
const CROSS_ENTROPY: u32 = 1u; // -T² Σ t log p
const MULTI_TARGET: u32 = 2u; // -T² log max(t p), the multi-label loss of FER+ (Barsoum, Zhang, Canton Ferrer & Zhang 2016)

// 0 log 0 = 0. Numbers below the smallest normal float32 count as 0: some devices take them for 0 in one place and not in the other.
fn is_zero(share: f32) -> bool {
  return (bitcast<u32>(share) & 0x7fffffffu) < 0x00800000u;
}

// The maximum of a row of logits / T, and the logarithm of the sum of exponentials above it.
fn normaliser_of(start: u32, end: u32, temperature: f32) -> vec2f {
  var top = logits[start] / temperature;
  for (var i = start + 1u; i < end; i++) {
    top = max(top, logits[i] / temperature);
  }
  var sum = 0.0;
  for (var i = start; i < end; i++) {
    sum += exp(logits[i] / temperature - top);
  }
  return vec2f(top, log(sum));
}

fn log_probability(logit: f32, temperature: f32, normaliser: vec2f) -> f32 {
  return logit / temperature - normaliser.x - normaliser.y;
}
