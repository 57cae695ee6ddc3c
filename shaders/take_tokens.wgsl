// output[n, i, :] = input[n, index[n, i], :] for the first `count` entries of each face's index, 0 where the entry is no row of the input.
//
// input [faces, rows, width]; index u32 [faces, pitch]; output [faces, count, width]
// Its own gradient as well, by the inverse of the order: a row is taken once at most, so nothing is added up. Moves bits, not numbers. 32 elements a
// thread, in runs of RUN neighbours of one row, which is found once.

const RUN: u32 = 1u; // 4 where the width is a multiple of it

struct Params {
  size: u32,
  rows: u32,
  count: u32,
  pitch: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> index: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let rows = params.rows;
  let count = params.count;
  let pitch = params.pitch;
  let width = params.width;
  let first = (workgroup.x + workgroup.y * workgroups.x) * 2048u;
  let end = min(first + 2048u, params.size);
  for (var i = first + RUN * thread; i < end; i += RUN * 64u) {
    let token = i / width;
    let face = token / count;
    let row = index[face * pitch + token % count];
    let source = (face * rows + row) * width + i % width;
    for (var j = 0u; j < RUN; j++) { // unroll
      var value = 0u;
      if (row < rows) {
        value = input[source + j];
      }
      output[i + j] = value;
    }
  }
}
