// Grey levels as bytes: words[w] = four neighbours, rounded and clipped to 0…255, the first in the lowest byte. Zeros fill the last word.
//
// input: [size]; words: [ceil(size / 4)]
// 16 words a thread, strided by the workgroup (1024 per group).

// #include "lib/grey_level.wgsl"

struct Params {
  size: u32, // elements of the input
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let size = params.size;
  let first = (workgroup.x + workgroup.y * workgroups.x) * 1024u;
  let end = min(first + 1024u, (size + 3u) / 4u);
  for (var w = first + thread; w < end; w += 64u) {
    var word = 0u;
    for (var k = 0u; k < 4u; k++) {
      let i = 4u * w + k;
      if (i < size) {
        word |= grey_level(input[i]) << (8u * k);
      }
    }
    words[w] = word;
  }
}
