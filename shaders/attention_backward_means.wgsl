// Mean of the gradients of a query's weights, weighted by these themselves (Dao 2023, "FlashAttention-2", algorithm 2, line 4):
//   mean = Σ_j P_j · dP_j = Σ output · output_gradient, over the row
//
// output, output_gradient  [rows, 4 · width]
// means                    [rows]

// #include "lib/rows.wgsl"

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output: array<vec4f>;
@group(0) @binding(2) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> means: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = row_of(workgroup.x + workgroup.y * workgroups.x, thread, params.rows, params.width);
  var sum = 0.0;
  for (var i = row.start + row.lane; i < row.end; i += LANES) {
    sum += dot(output[i], output_gradient[i]);
  }
  sum = row_sum(sum, thread);
  if (row.lane == 0u && row.start < row.end) {
    means[row.start / params.width] = sum;
  }
}
