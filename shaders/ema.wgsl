// Exponential moving average of the weights (Polyak & Juditsky 1992; Tarvainen & Valpola 2017, equation for the teacher's weights):
//   average = decay * average + (1 - decay) * parameters
//
// parameters, average: flat [4 * quads]. The decay comes from the step's state, where it warms up. One vec4 multiply-add per
// three streams: 8 vec4 per thread strided by the workgroup (2048 floats per group).

// #include "lib/step.wgsl"

struct Params {
  quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> average: array<vec4f>;
@group(0) @binding(3) var<storage, read> step: Step;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let decay = step.ema_decay;
  let first = (workgroup.x + workgroup.y * workgroups.x) * 512u;
  let end = min(first + 512u, params.quads);
  for (var i = first + thread; i < end; i += 64u) {
    average[i] = decay * average[i] + (1.0 - decay) * parameters[i];
  }
}
