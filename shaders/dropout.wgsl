// Inverted dropout (Srivastava et al. 2014): output = input * keep / (1 - rate), keep 0 with probability `rate`, else 1.
//
// input, output: flat [size]; step: the state of the step, from which the mask is drawn
// The mask is a pure function of (seed, step, stream, element) and never stored: the backward pass is this kernel again, from output gradient
// to input gradient. Multiplied rather than selected, so that NaN shows even where it is dropped. One Philox call per vec4; see lib/elements.wgsl.

// #include "lib/elements.wgsl"
// #include "lib/random.wgsl"
// #include "lib/step.wgsl"

struct Params {
  size: u32,
  stream: u32,
  first: u32, // vec4 of the whole tensor before those bound here
  rate: f32,
  scale: f32, // 1 / (1 - rate)
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read> input: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let size = params.size;
  let stream = params.stream;
  let first = params.first;
  let rate = params.rate;
  let scale = params.scale;
  let seed = step.seed;
  let step_index = step.step;
  let quads = quads_of(workgroup.x + workgroup.y * workgroups.x, size);
  for (var i = quads.x + thread; i < quads.y; i += 64u) {
    let draw = unit_floats(random_words(seed, step_index, stream, first + i));
    output[i] = trim(input[i] * select(vec4f(scale), vec4f(), draw < vec4f(rate)), i, size);
  }
}
