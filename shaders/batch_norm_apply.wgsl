// Batch normalisation whose moments batch_norm_forward has found already: its output once more, and nothing else.
//   output = act((input - mean) / sqrt(variance + epsilon) * scale + shift + residual), act = max(0, ·) where relu is 1
//
// input, residual (any tensor where has_residual is 0), output  [rows, C], C = 4 * columns; all rows or some of them
// moments                                                   [.., 2, C]: mean and variance of the batch first
// scale, shift                                              [C]

// #include "lib/column_blocks.wgsl"
// #include "lib/batch_norm.wgsl"

struct Params {
  columns: u32,
  block: u32,
  rows: u32,
  rows_per_part: u32,
  has_residual: u32,
  relu: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> moments: array<vec4f>;
@group(0) @binding(3) var<storage, read> scale: array<vec4f>;
@group(0) @binding(4) var<storage, read> shift: array<vec4f>;
@group(0) @binding(5) var<storage, read> residual: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let place = place_of(workgroup.x + workgroup.y * workgroups.x, thread, params.columns, params.block);
  normalise(place, place.column, moments[place.column], moments[params.columns + place.column]);
}
