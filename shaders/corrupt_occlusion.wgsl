// Something in front: a block of one grey, block_height × block_width, anywhere inside the face, all places alike likely.
//
// input, output: [batch, height, width, channels]; numbers: [batch] of the faces; step: its seed
// 16 elements a thread, strided by the workgroup (1024 per group).

// #include "lib/step.wgsl"
// #include "lib/random.wgsl"

struct Params {
  size: u32, // elements of all faces
  height: u32,
  width: u32,
  channels: u32,
  block_height: u32,
  block_width: u32,
  stream: u32,
  grey: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> numbers: array<u32>;
@group(0) @binding(3) var<storage, read> step: Step;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let height = params.height;
  let width = params.width;
  let channels = params.channels;
  let block = vec2u(params.block_width, params.block_height);
  let first = (workgroup.x + workgroup.y * workgroups.x) * 1024u;
  let end = min(first + 1024u, params.size);
  for (var i = first + thread; i < end; i += 64u) {
    let at = vec2u(i / channels % width, i / (channels * width) % height);
    let draw = unit_floats(random_words(step.seed, numbers[i / (channels * width * height)], params.stream, 0u));
    let corner = vec2u(draw.xy * vec2f(vec2u(width, height) - block + 1u));
    output[i] = select(input[i], params.grey, all(at >= corner) && all(at < corner + block));
  }
}
