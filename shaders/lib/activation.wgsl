// The activations that the operator's two kernels share. KIND: 0 ReLU, 1 GELU, 2 SiLU, 3 sigmoid, 4 exponential.
//   ReLU  max(x, 0)
//   GELU  x * P(x), P(x) = (1 + erf(x / sqrt(2))) / 2 the normal distribution (Hendrycks & Gimpel 2016, eq. 1); erf by Abramowitz & Stegun 1964, 7.1.26, which
//         leaves P wrong by 8e-8 at most
//   SiLU  x * s(x); sigmoid s(x); exponential exp(x)
// with s(x) = 1 / (1 + exp(-x)). Like PyTorch, -infinity gives NaN for GELU and SiLU; NaN gives NaN for all.

const KIND: u32 = 0u;
const RELU: u32 = 0u;
const GELU: u32 = 1u;
const SIGMOID: u32 = 3u;
const EXPONENTIAL: u32 = 4u;

fn sigmoid(x: vec4f) -> vec4f {
  return 1.0 / (1.0 + exp(-x));
}

// P(x), given exp(-x²/2). Of the two tails the smaller one is calculated, so that little of it is lost to rounding.
fn normal_distribution(x: vec4f, bell: vec4f) -> vec4f {
  let t = 1.0 / (1.0 + 0.2316418882 * abs(x)); // 0.3275911 / sqrt(2)
  let tail = 0.5 * bell * t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return select(tail, 1.0 - tail, x > vec4f());
}

fn gelu(x: vec4f) -> vec4f {
  return x * normal_distribution(x, exp(-0.5 * x * x));
}

// P(x) + x P'(x)
fn gelu_slope(x: vec4f) -> vec4f {
  let bell = exp(-0.5 * x * x);
  return normal_distribution(x, bell) + 0.3989422804 * x * bell;
}
