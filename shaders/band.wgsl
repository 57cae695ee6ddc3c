// output[o, output_start + j, i] = input[o, input_start + j, i], or 0 where the input has no such j: one band of an axis, 0 ≤ j < band.
//
// input  [outer, input_extent, inner]
// output [outer, output_extent, inner], of which only the band is written
//
// Slices, concatenation and padding are bands, and so are their gradients. Moves bits, not numbers, so u32 and float32 are alike. 32 elements a
// thread, strided by the workgroup.

struct Params {
  size: u32, // outer · band · inner
  inner: u32,
  band: u32,
  input_extent: u32,
  input_start: i32,
  output_extent: u32,
  output_start: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let inner = params.inner;
  let band = params.band;
  let input_extent = params.input_extent;
  let input_start = u32(params.input_start); // -1 becomes 2³² - 1, which no extent reaches
  let output_extent = params.output_extent;
  let output_start = params.output_start;
  let first = (workgroup.x + workgroup.y * workgroups.x) * 2048u;
  let end = min(first + 2048u, params.size);
  for (var index = first + thread; index < end; index += 64u) {
    let row = index / inner;
    let i = index % inner;
    let o = row / band;
    let j = row % band;
    var value = 0u;
    if (input_start + j < input_extent) {
      value = input[(o * input_extent + input_start + j) * inner + i];
    }
    output[(o * output_extent + output_start + j) * inner + i] = value;
  }
}
