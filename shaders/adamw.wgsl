// AdamW (Loshchilov & Hutter 2019, algorithm 2), one launch for all parameters. Decay and the place of epsilon as in PyTorch:
//   g = clip_factor * gradient
//   m = beta1 * m + (1 - beta1) * g
//   v = beta2 * v + (1 - beta2) * g²
//   parameter -= learning_rate * (decay * parameter + m / correction1 / (sqrt(v / correction2) + epsilon))
//
// parameters, gradients, first_moment (m), second_moment (v): flat [4 * quads]; groups: per 64 floats a factor on the learning rate
// and one on weight decay; clip_factor: [1], from gradient_norm_final. Bias corrections 1 - beta^t come from the step's state.
// Memory bound: seven streams of vec4, 8 per thread strided by the workgroup (2048 floats per group).

// #include "lib/step.wgsl"

struct Params {
  quads: u32,
  beta1: f32,
  beta2: f32,
  // 1 - beta, rounded once: in float32 the difference would keep few digits of a beta near 1.
  rest1: f32,
  rest2: f32,
  epsilon: f32,
  weight_decay: f32,
}

const EXPONENT: u32 = 0x7f800000u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(2) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(3) var<storage, read> groups: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> first_moment: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> second_moment: array<vec4f>;
@group(0) @binding(6) var<storage, read> clip_factor: array<f32>;
@group(0) @binding(7) var<storage, read> step: Step;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let beta1 = params.beta1;
  let beta2 = params.beta2;
  let rest1 = params.rest1;
  let rest2 = params.rest2;
  let epsilon = params.epsilon;
  let rate = step.learning_rate / step.bias_correction1;
  let root_correction = inverseSqrt(step.bias_correction2);
  let decay = step.learning_rate * params.weight_decay;
  let factor = clip_factor[0];
  if ((bitcast<u32>(factor) & EXPONENT) == EXPONENT) {
    return; // gradients that are not finite change nothing
  }
  let first = (workgroup.x + workgroup.y * workgroups.x) * 512u;
  let end = min(first + 512u, params.quads);
  for (var i = first + thread; i < end; i += 64u) {
    let gradient = factor * gradients[i];
    let m = beta1 * first_moment[i] + rest1 * gradient;
    let v = beta2 * second_moment[i] + rest2 * gradient * gradient;
    first_moment[i] = m;
    second_moment[i] = v;
    let parameter = parameters[i];
    let group = groups[i / 16u];
    let shrink = decay * group.y * parameter;
    parameters[i] = parameter - group.x * (shrink + rate * m / (sqrt(v) * root_correction + epsilon));
  }
}
