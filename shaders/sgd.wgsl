// Stochastic gradient descent with momentum and L2 weight decay, one launch for all parameters. As in PyTorch, without dampening:
//   g = clip_factor * gradient + decay * parameter
//   velocity = momentum * velocity + g
//   parameter -= learning_rate * velocity                    (NESTEROV: learning_rate * (g + momentum * velocity))
//
// parameters, gradients, velocity: flat [4 * quads]; groups: per 64 floats a factor on the learning rate and one on weight decay;
// clip_factor: [1], from gradient_norm_final.
// Memory bound: five streams of vec4, 8 per thread strided by the workgroup (2048 floats per group).

// #include "lib/step.wgsl"

const NESTEROV: bool = false;

struct Params {
  quads: u32,
  momentum: f32,
  weight_decay: f32,
}

const EXPONENT: u32 = 0x7f800000u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(2) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(3) var<storage, read> groups: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> velocity: array<vec4f>;
@group(0) @binding(5) var<storage, read> clip_factor: array<f32>;
@group(0) @binding(6) var<storage, read> step: Step;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let momentum = params.momentum;
  let weight_decay = params.weight_decay;
  let learning_rate = step.learning_rate;
  let factor = clip_factor[0];
  if ((bitcast<u32>(factor) & EXPONENT) == EXPONENT) {
    return; // gradients that are not finite change nothing
  }
  let first = (workgroup.x + workgroup.y * workgroups.x) * 512u;
  let end = min(first + 512u, params.quads);
  for (var i = first + thread; i < end; i += 64u) {
    let parameter = parameters[i];
    let group = groups[i / 16u];
    let gradient = factor * gradients[i] + weight_decay * group.y * parameter;
    let v = momentum * velocity[i] + gradient;
    velocity[i] = v;
    parameters[i] = parameter - learning_rate * group.x * select(v, gradient + momentum * v, NESTEROV);
  }
}
