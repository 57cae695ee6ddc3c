// Softmax over rows: output = exp(input - m) / Σ exp(input - m), m the row's maximum; with LOG its logarithm, input - m - log Σ exp(input - m).
//
// input, output [rows, length]
// As in PyTorch: NaN or +infinity anywhere makes the whole row NaN, as does a row of -infinity only; single -infinities get 0 (LOG: -infinity).
// Three passes over a row that stays in cache; see lib/rows.wgsl for how threads share it.

// #include "lib/rows.wgsl"

const LOG: bool = false;

struct Params {
  rows: u32,
  length: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = row_of(workgroup.x + workgroup.y * workgroups.x, thread, params.rows, params.length);
  let first = row.start + row.lane;
  var top = input[min(row.start, params.rows * params.length - 1u)];
  for (var i = first; i < row.end; i += LANES) {
    top = max(top, input[i]);
  }
  top = row_max(top, thread);
  var sum = 0.0;
  for (var i = first; i < row.end; i += LANES) {
    sum += exp(input[i] - top);
  }
  sum = row_sum(sum, thread);
  let log_sum = log(sum);
  for (var i = first; i < row.end; i += LANES) {
    let distance = input[i] - top;
    output[i] = select(exp(distance) / sum, distance - log_sum, LOG);
  }
}
