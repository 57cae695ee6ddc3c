// output[o, output_start + i] = input[o, input_start + i], or 0 where the input has no such i: one band of each row, 0 ≤ i < band.
//
// input  [outer, input_pitch]
// output [outer, output_pitch], of which only the band is written
//
// Slices, concatenation and padding along an axis are bands of the rows that the axes from it on make up, and so are their gradients. Moves bits, not
// numbers, so u32 and float32 are alike. 32 elements a thread, in runs of RUN neighbours, whose row is found once: divisions are dear.

const RUN: u32 = 1u; // 4 where pitches, starts and band are multiples of it

struct Params {
  size: u32, // outer · band
  band: u32,
  input_pitch: u32,
  input_start: i32,
  output_pitch: u32,
  output_start: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let band = params.band;
  let input_pitch = params.input_pitch;
  let input_start = u32(params.input_start); // -1 becomes 2³² - 1, which no pitch reaches
  let output_pitch = params.output_pitch;
  let output_start = params.output_start;
  let first = (workgroup.x + workgroup.y * workgroups.x) * 2048u;
  let end = min(first + 2048u, params.size);
  for (var index = first + RUN * thread; index < end; index += RUN * 64u) {
    let row = index / band;
    let i = index % band;
    let inside = input_start + i < input_pitch;
    for (var j = 0u; j < RUN; j++) { // unroll
      var value = 0u;
      if (inside) {
        value = input[row * input_pitch + input_start + i + j];
      }
      output[row * output_pitch + output_start + i + j] = value;
    }
  }
}
