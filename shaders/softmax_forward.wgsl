// Softmax over rows: output = exp(x - m) / Σ exp(x - m), x = scale · input, m the row's maximum; with LOG its logarithm, x - m - log Σ exp(x - m).
//
// input, output [rows, 4 · quads], of which the first `length` of a row count: those behind them become 0
// As in PyTorch: NaN or +infinity anywhere makes the whole row NaN, as does a row of -infinity only; single -infinities get 0 (LOG: -infinity).
//
// Two passes over a row: in the first, what was summed below an earlier maximum is scaled when the maximum rises (Milakov & Gimelshein 2018, "Online
// normalizer calculation for softmax", algorithm 3). See lib/rows.wgsl for how threads share a row.

// #include "lib/rows.wgsl"

const LOG: bool = false;
const LOWEST: f32 = -3.4028234e38;

struct Params {
  rows: u32,
  quads: u32,
  length: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let length = params.length;
  let scale = params.scale;
  let row = row_of(workgroup.x + workgroup.y * workgroups.x, thread, params.rows, params.quads);
  let first = row.start + row.lane;
  var top = LOWEST;
  var sum = 0.0;
  for (var i = first; i < row.end; i += LANES) {
    let inside = 4u * (i - row.start) + vec4u(0u, 1u, 2u, 3u) < vec4u(length);
    let x = select(vec4f(LOWEST), scale * input[i], inside);
    let higher = max(max(top, x.x), max(x.y, max(x.z, x.w)));
    let terms = select(vec4f(), exp(x - higher), inside);
    sum = sum * exp(top - higher) + ((terms.x + terms.y) + (terms.z + terms.w));
    top = higher;
  }
  let row_top = row_max(top, thread);
  sum = row_sum(sum * exp(top - row_top), thread);
  let log_sum = log(sum);
  let factor = 1.0 / sum;
  for (var i = first; i < row.end; i += LANES) {
    let inside = 4u * (i - row.start) + vec4u(0u, 1u, 2u, 3u) < vec4u(length);
    let distance = scale * input[i] - row_top;
    output[i] = select(vec4f(), select(exp(distance) * factor, distance - log_sum, LOG), inside);
  }
}
