// output[.., x, :] = input[.., width - 1 - x, :]: left and right exchanged. Its own gradient.
//
// input, output [rows, width, channels]
// Memory bound; 32 elements a thread, strided by the workgroup.

struct Params {
  size: u32,
  width: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let width = params.width;
  let channels = params.channels;
  let first = (workgroup.x + workgroup.y * workgroups.x) * 2048u;
  let end = min(first + 2048u, params.size);
  for (var i = first + thread; i < end; i += 64u) {
    let x = i / channels % width;
    output[i] = input[i + (width - 1u - x) * channels - x * channels];
  }
}
