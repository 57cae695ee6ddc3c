// Matrix product, optionally batched and split along K: formula, layouts and conditions of matmul.wgsl, for real GPUs. The sides go through tiles in workgroup
// memory (lib/tile.wgsl), so that each number is read from storage once for 64 or 128 multiply-adds.

// #include "lib/tile.wgsl"

const A_ALONG_K: bool = true; // false where a is stored transposed
const B_ALONG_K: bool = false; // true where b is stored transposed

struct Params {
  rows: u32, // M
  columns: u32, // N
  depth: u32, // K
  depth_per_split: u32, // a multiple of 4
  batch: u32,
  groups: u32, // workgroups with work: row tiles · column tiles · batch · splits
  a_pitch: u32, // elements from one row of a to the next
  output_pitch: u32,
  a_batch_stride: u32, // elements from one matrix of a batch to the next, 0 for one matrix shared by all
  b_batch_stride: u32,
  has_bias: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

// Where this workgroup's tiles begin.
var<private> a_matrix: u32;
var<private> b_matrix: u32;
var<private> row0: u32;
var<private> column0: u32;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let group = workgroup_id.x + workgroup_id.y * num_workgroups.x;
  if (group >= params.groups) {
    return;
  }
  // Column tiles of the same rows are neighbours, so that their a is still in a cache.
  let row_tiles = (params.rows + TILE_M - 1u) / TILE_M;
  let column_tiles = (params.columns + TILE_N - 1u) / TILE_N;
  column0 = group % column_tiles * TILE_N;
  row0 = group / column_tiles % row_tiles * TILE_M;
  let matrix = group / (row_tiles * column_tiles);
  let split = matrix / params.batch;
  let batch = matrix % params.batch;
  a_matrix = batch * (params.a_batch_stride / 4u);
  b_matrix = batch * (params.b_batch_stride / 4u);
  let k_begin = split * params.depth_per_split;
  let k_end = min(k_begin + params.depth_per_split, params.depth);

  load_tiles(k_begin, k_end, local);
  for (var k = k_begin; k < k_end; k += TILE_K) {
    workgroupBarrier();
    store_tiles(local);
    workgroupBarrier();
    load_tiles(k + TILE_K, k_end, local);
    multiply_tiles(local);
  }

  for (var q = 0u; q < THREAD_QUADS; q++) { // unroll
    for (var i = 0u; i < 4u; i++) { // unroll
      let column = column0 + 4u * tile_quad(q, local) + i;
      if (column < params.columns) {
        var offset = 0.0;
        if (params.has_bias != 0u && split == 0u) {
          offset = bias[column];
        }
        for (var r = 0u; r < THREAD_M; r++) { // unroll
          let row = row0 + tile_row(r, local);
          if (row < params.rows) {
            output[(matrix * params.rows + row) * params.output_pitch + column] = sums[r * THREAD_QUADS + q][i] + offset;
          }
        }
      }
    }
  }
}

// Rows and columns beyond the end repeat the last, whose results nobody stores; terms beyond the end are zero.
fn load_tiles(k0: u32, k_end: u32, local: u32) {
  for (var j = 0u; j < A_LOADS; j++) { // unroll
    let place = a_place(j, local);
    let k = k0 + place.y;
    let row = row0 + place.x;
    let along_k = min(row, params.rows - 1u) * (params.a_pitch / 4u) + k / 4u;
    let along_rows = k * (params.a_pitch / 4u) + min(row / 4u, params.a_pitch / 4u - 1u);
    let at = a_matrix + select(along_rows, along_k, A_ALONG_K);
    a_next[j] = select(vec4f(), a[select(0u, at, k < k_end)], k < k_end);
  }
  for (var j = 0u; j < B_LOADS; j++) { // unroll
    let place = b_place(j, local);
    let k = k0 + place.y;
    let column = column0 + place.x;
    let along_k = min(column, params.columns - 1u) * (params.depth / 4u) + k / 4u;
    let along_columns = k * (params.columns / 4u) + min(column / 4u, params.columns / 4u - 1u);
    let at = b_matrix + select(along_columns, along_k, B_ALONG_K);
    b_next[j] = select(vec4f(), b[select(0u, at, k < k_end)], k < k_end);
  }
}
