// output[i]: numbers from the standard normal distribution, a function of (seed, step, stream, i)
//
// step: the state of the step; output: flat [size]
// 32 elements a thread, strided by the workgroup.

// #include "lib/normal.wgsl"
// #include "lib/random.wgsl"
// #include "lib/step.wgsl"

struct Params {
  size: u32,
  stream: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let first = (workgroup.x + workgroup.y * workgroups.x) * 2048u;
  let end = min(first + 2048u, params.size);
  for (var i = first + thread; i < end; i += 64u) {
    output[i] = normal(unit_floats(random_words(step.seed, step.step, params.stream, i)).xy);
  }
}
