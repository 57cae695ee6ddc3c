// The activations that the operator's two kernels share. KIND: 0 ReLU, 1 GELU, 2 SiLU, 3 sigmoid, 4 exponential.
//   ReLU  max(x, 0)
//   GELU  x * s(2u), u = sqrt(2 / pi) * (x + 0.044715 x³), which is 0.5 x (1 + tanh u) (Hendrycks & Gimpel 2016, the tanh form)
//   SiLU  x * s(x); sigmoid s(x); exponential exp(x)
// with s(x) = 1 / (1 + exp(-x)). Through s, because tanh by exponentials is infinity / infinity on some drivers. Like PyTorch, -infinity gives
// NaN for GELU and SiLU; NaN gives NaN for all.

const KIND: u32 = 0u;
const RELU: u32 = 0u;
const GELU: u32 = 1u;
const SIGMOID: u32 = 3u;
const EXPONENTIAL: u32 = 4u;

fn sigmoid(x: vec4f) -> vec4f {
  return 1.0 / (1.0 + exp(-x));
}

// 2u and its derivative in x.
fn gelu_argument(x: vec4f) -> vec4f {
  return 1.5957691216 * x * (1.0 + 0.044715 * x * x);
}

fn gelu_slope(x: vec4f) -> vec4f {
  return 1.5957691216 * (1.0 + 0.134145 * x * x);
}
