// Cuts the last axis, or fills it with zeros: output[row, c] = input[row, c] for c < input_channels, else 0.
//
// input [rows, input_channels], output [rows, output_channels]
//
// 16 elements a thread, strided by the workgroup (1024 per group). Any channel count, hence no vec4; models have multiples of four and do not come here.

struct Params {
  size: u32, // elements of the output
  input_channels: u32,
  output_channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let input_channels = params.input_channels;
  let output_channels = params.output_channels;
  let first = (workgroup.x + workgroup.y * workgroups.x) * 1024u;
  let end = min(first + 1024u, params.size);
  for (var i = first + thread; i < end; i += 64u) {
    let channel = i % output_channels;
    var value = 0.0;
    if (channel < input_channels) {
      value = input[i / output_channels * input_channels + channel];
    }
    output[i] = value;
  }
}
