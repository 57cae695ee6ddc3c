// One stage of a sum or a maximum: rows of `total` numbers are folded to rows of `width`,
//   output[row, k] = factor * sum over i of input[row, k + i * width]        (MAXIMUM: the maximum; NaN where a term is NaN)
//
// input [rows, total], output [rows, width]
// A reduction of [outer, length, inner] over its middle axis folds rows of length * inner to parts * inner, stage by stage until one part is
// left; a term of a stage stands for at most 64 of the stage before. A tree of fixed order: small rounding errors, and equal inputs give equal
// bits. One output a thread: neighbouring threads read neighbouring numbers, whichever axis is reduced.

// #include "lib/nan.wgsl"

const MAXIMUM: bool = false;

struct Params {
  rows: u32,
  total: u32,
  width: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let width = params.width;
  let total = params.total;
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + thread;
  let row = index / width;
  if (row >= params.rows) {
    return;
  }
  let end = (row + 1u) * total;
  var i = row * total + index % width;
  var value = input[i];
  for (i += width; i < end; i += width) {
    let term = input[i];
    if (MAXIMUM) {
      value = larger(value, term);
    } else {
      value += term;
    }
  }
  output[index] = params.factor * value;
}
