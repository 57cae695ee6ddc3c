// Gradient of a convolution of one group with respect to its weight, in partial sums: formula, layouts, conditions and splits of conv2d_backward_weight.wgsl,
// for real GPUs. One matrix product per tap over the rectangle of output pixels for which the tap falls inside the image, through tiles in workgroup memory
// (lib/tile.wgsl). Where the pixels of a tile lie is found by as many threads, once for all.

// #include "lib/tile.wgsl"
// #include "lib/rectangle.wgsl"

const A_ALONG_K: bool = false;
const B_ALONG_K: bool = false;

struct Params {
  batch: u32,
  height: u32,
  width: u32,
  channels: u32,
  output_height: u32,
  output_width: u32,
  columns: u32,
  kernel_y: u32,
  kernel_x: u32,
  stride_y: u32,
  stride_x: u32,
  pad_top: u32,
  pad_left: u32,
  dilation_y: u32,
  dilation_x: u32,
  splits: u32,
  groups: u32, // workgroups with work: splits · taps · row tiles · column tiles
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>;

// Of each pixel of the next tile: its place in the input and in the output, both in vec4. NOWHERE beyond the end.
const NOWHERE = 0xffffffffu;
var<workgroup> places: array<vec2u, TILE_K>;

// This workgroup's tap: input pixel = output pixel · stride + shift, and the outputs for which it lies inside.
var<private> shift: vec2i;
var<private> first: vec2u;
var<private> size: vec2u;

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
  let channel_quads = params.channels / 4u;
  let column_quads = params.columns / 4u;
  let row_tiles = (params.channels + TILE_M - 1u) / TILE_M;
  let column_tiles = (params.columns + TILE_N - 1u) / TILE_N;
  let column_quad0 = group % column_tiles * N_QUADS;
  let row_quad0 = group / column_tiles % row_tiles * M_QUADS;
  let taps = params.kernel_y * params.kernel_x;
  let part = group / column_tiles / row_tiles; // split · taps + tap
  let tap = part % taps;

  let shift_y = i32(tap / params.kernel_x * params.dilation_y) - i32(params.pad_top);
  let shift_x = i32(tap % params.kernel_x * params.dilation_x) - i32(params.pad_left);
  let first_y = first_inside(shift_y, params.stride_y);
  let first_x = first_inside(shift_x, params.stride_x);
  let lines = max(end_inside(shift_y, params.stride_y, params.height, params.output_height), first_y) - first_y;
  let line = max(end_inside(shift_x, params.stride_x, params.width, params.output_width), first_x) - first_x;
  shift = vec2i(shift_x, shift_y);
  first = vec2u(first_x, first_y);
  size = vec2u(line, lines);
  let pixels = params.batch * lines * line;
  let pixels_per_split = (pixels + params.splits - 1u) / params.splits;
  let begin = min(part / taps * pixels_per_split, pixels);
  let end = min(begin + pixels_per_split, pixels);

  find_places(begin, end, local);
  workgroupBarrier();
  load_tiles(row_quad0, column_quad0, local);
  for (var pixel = begin; pixel < end; pixel += TILE_K) {
    workgroupBarrier();
    store_tiles(local);
    find_places(pixel + TILE_K, end, local);
    workgroupBarrier();
    load_tiles(row_quad0, column_quad0, local);
    multiply_tiles(local);
  }

  for (var r = 0u; r < THREAD_M; r++) { // unroll
    let row = row_quad0 * 4u + tile_row(r, local);
    if (row < params.channels) {
      for (var q = 0u; q < THREAD_QUADS; q++) { // unroll
        let quad = column_quad0 + tile_quad(q, local);
        if (quad < column_quads) {
          partials[(part * params.channels + row) * column_quads + quad] = sums[r * THREAD_QUADS + q];
        }
      }
    }
  }
}

fn find_places(pixel0: u32, end: u32, local: u32) {
  if (local < TILE_K) {
    let pixel = pixel0 + local;
    var place = vec2u(NOWHERE);
    if (pixel < end) {
      let line = pixel / size.x;
      let image = line / size.y;
      let y = first.y + line % size.y;
      let x = first.x + pixel % size.x;
      let input_y = y * params.stride_y + u32(shift.y);
      let input_x = x * params.stride_x + u32(shift.x);
      place.x = ((image * params.height + input_y) * params.width + input_x) * (params.channels / 4u);
      place.y = ((image * params.output_height + y) * params.output_width + x) * (params.columns / 4u);
    }
    places[local] = place;
  }
}

// Rows and columns beyond the end repeat the last, whose results nobody stores; pixels beyond the end are zero.
fn load_tiles(row_quad0: u32, column_quad0: u32, local: u32) {
  for (var j = 0u; j < A_LOADS; j++) { // unroll
    let tile = a_place(j, local);
    let place = places[tile.y].x;
    let quad = min(row_quad0 + tile.x / 4u, params.channels / 4u - 1u);
    a_next[j] = select(input[select(place + quad, 0u, place == NOWHERE)], vec4f(), place == NOWHERE);
  }
  for (var j = 0u; j < B_LOADS; j++) { // unroll
    let tile = b_place(j, local);
    let place = places[tile.y].y;
    let quad = min(column_quad0 + tile.x / 4u, params.columns / 4u - 1u);
    b_next[j] = select(output_gradient[select(place + quad, 0u, place == NOWHERE)], vec4f(), place == NOWHERE);
  }
}
