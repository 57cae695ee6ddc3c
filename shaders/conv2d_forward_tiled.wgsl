// Convolution of one group, with what follows it: formula, layouts and conditions of conv2d_forward.wgsl, for real GPUs. A product whose left side is never
// written down (lib/patches.wgsl), through tiles in workgroup memory (lib/tile.wgsl).

// #include "lib/conv2d.wgsl"
// #include "lib/tile.wgsl"
// #include "lib/patches.wgsl"

const A_ALONG_K: bool = true;
const B_ALONG_K: bool = false;

@group(0) @binding(1) var<storage, read> input: array<vec4f>;

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
  let rows = params.batch * params.output_height * params.output_width;
  let column_quads = params.columns / 4u;
  let column_tiles = (params.columns + TILE_N - 1u) / TILE_N;
  let row0 = group / column_tiles * TILE_M;
  let quad0 = group % column_tiles * N_QUADS;
  for (var j = 0u; j < A_LOADS; j++) { // unroll
    let row = min(row0 + a_place(j, local).x, rows - 1u);
    let line = row / params.output_width;
    image[j] = line / params.output_height * params.height;
    top[j] = line % params.output_height * params.stride_y - params.pad_top;
    left[j] = row % params.output_width * params.stride_x - params.pad_left;
  }
  walk(a_place(0u, local).y, params.channels, params.kernel_x);

  let depth = params.kernel_y * params.kernel_x * params.channels;
  load_tiles(0u, depth, quad0, local);
  for (var k = 0u; k < depth; k += TILE_K) {
    workgroupBarrier();
    store_tiles(local);
    workgroupBarrier();
    load_tiles(k + TILE_K, depth, quad0, local);
    multiply_tiles(local);
  }

  for (var q = 0u; q < THREAD_QUADS; q++) { // unroll
    let quad = quad0 + tile_quad(q, local);
    if (quad < column_quads) {
      let offset = offset_of(quad);
      for (var r = 0u; r < THREAD_M; r++) { // unroll
        let row = row0 + tile_row(r, local);
        if (row < rows) {
          finish(row * column_quads + quad, sums[r * THREAD_QUADS + q] + offset);
        }
      }
    }
  }
}

// Loads the tiles that begin at k0, and moves on to the next.
fn load_tiles(k0: u32, depth: u32, quad0: u32, local: u32) {
  let hop = vec2u(params.dilation_x, params.dilation_y);
  for (var j = 0u; j < A_LOADS; j++) { // unroll
    let at = patch_at(j, params.kernel_y, hop, params.height, params.width, params.channels);
    a_next[j] = select(input[select(at, 0u, at == NOWHERE)], vec4f(), at == NOWHERE);
  }
  walk(TILE_K, params.channels, params.kernel_x);
  for (var j = 0u; j < B_LOADS; j++) { // unroll
    let place = b_place(j, local);
    let k = k0 + place.y;
    let quad = min(quad0 + place.x / 4u, params.columns / 4u - 1u);
    b_next[j] = select(vec4f(), weight[select(0u, k * (params.columns / 4u) + quad, k < depth)], k < depth);
  }
}
