// Gradient of a convolution of one group with respect to its input: formula, layouts, conditions and phases of conv2d_backward_input.wgsl, for real GPUs.
// A product whose left side is never written down (lib/patches.wgsl), through tiles in workgroup memory (lib/tile.wgsl).
//
// The taps that count for a phase are evenly spaced along each axis: the depth runs over these and the output channels.

// #include "lib/tile.wgsl"
// #include "lib/patches.wgsl"

const A_ALONG_K: bool = true;
const B_ALONG_K: bool = true;

struct Params {
  batch: u32,
  height: u32,
  width: u32,
  columns: u32,
  output_height: u32,
  output_width: u32,
  depth: u32,
  kernel_y: u32,
  kernel_x: u32,
  stride_y: u32,
  stride_x: u32,
  pad_top: u32,
  pad_left: u32,
  dilation_y: u32,
  dilation_x: u32,
  row_tiles: u32, // of the largest phase
  has_residual: u32,
  groups: u32, // workgroups with work: phases · row tiles · column tiles
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> residual: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> input_gradient: array<vec4f>;

// The taps of one phase along one axis.
struct Taps {
  first: u32,
  step: u32,
  count: u32,
  start: u32, // place in the output that the first tap of the phase's first pixel meets
  hop: u32, // from one tap's place to the next tap's, negative ones wrapped round
}

// Tap t meets place (offset − t·dilation) / stride, where that leaves no remainder: with every step of stride / gcd(stride, dilation).
fn taps_of(offset: u32, kernel: u32, stride: u32, dilation: u32) -> Taps {
  var step = 1u;
  while (step * dilation % stride != 0u) {
    step++;
  }
  var first = 0u;
  while (first < step && (i32(offset) - i32(first * dilation)) % i32(stride) != 0) {
    first++;
  }
  if (first >= min(step, kernel)) {
    return Taps(0u, step, 0u, 0u, 0u);
  }
  let start = u32((i32(offset) - i32(first * dilation)) / i32(stride));
  return Taps(first, step, (kernel - first + step - 1u) / step, start, 0u - step * dilation / stride);
}

var<private> taps_y: Taps;
var<private> taps_x: Taps;

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
  let column_quads = params.columns / 4u;
  let column_tiles = (params.columns + TILE_N - 1u) / TILE_N;
  let column0 = group % column_tiles * TILE_N;

  // The phase's pixels (phase_y + i·stride_y, phase_x + j·stride_x) form an image of their own, phase_height × phase_width.
  let phase = group / column_tiles / params.row_tiles;
  let phase_y = phase / params.stride_x;
  let phase_x = phase % params.stride_x;
  let phase_height = (params.height + params.stride_y - 1u - phase_y) / params.stride_y;
  let phase_width = (params.width + params.stride_x - 1u - phase_x) / params.stride_x;
  let rows = params.batch * phase_height * phase_width;
  let row0 = group / column_tiles % params.row_tiles * TILE_M;
  if (row0 >= rows) {
    return;
  }
  let along_y = taps_of(phase_y + params.pad_top, params.kernel_y, params.stride_y, params.dilation_y);
  let along_x = taps_of(phase_x + params.pad_left, params.kernel_x, params.stride_x, params.dilation_x);
  let depth = along_y.count * along_x.count * params.depth;
  taps_y = along_y;
  taps_x = along_x;
  for (var j = 0u; j < A_LOADS; j++) { // unroll
    let row = min(row0 + a_place(j, local).x, rows - 1u);
    let line = row / phase_width;
    image[j] = line / phase_height * params.output_height;
    top[j] = line % phase_height + along_y.start;
    left[j] = row % phase_width + along_x.start;
  }
  walk(a_place(0u, local).y, params.depth, along_x.count);

  load_tiles(0u, depth, column0, local);
  for (var k = 0u; k < depth; k += TILE_K) {
    workgroupBarrier();
    store_tiles(local);
    workgroupBarrier();
    load_tiles(k + TILE_K, depth, column0, local);
    multiply_tiles(local);
  }

  for (var r = 0u; r < THREAD_M; r++) { // unroll
    let row = row0 + tile_row(r, local);
    if (row < rows) {
      let line = row / phase_width;
      let y = phase_y + line % phase_height * params.stride_y;
      let x = phase_x + row % phase_width * params.stride_x;
      let pixel = (line / phase_height * params.height + y) * params.width + x;
      for (var q = 0u; q < THREAD_QUADS; q++) { // unroll
        let quad = column0 / 4u + tile_quad(q, local);
        if (quad < column_quads) {
          var value = sums[r * THREAD_QUADS + q];
          if (params.has_residual != 0u) {
            value += residual[pixel * column_quads + quad];
          }
          input_gradient[pixel * column_quads + quad] = value;
        }
      }
    }
  }
}

// Loads the tiles that begin at k0, and moves on to the next. Both sides lie along k, so a thread's k is the same for both.
fn load_tiles(k0: u32, depth: u32, column0: u32, local: u32) {
  let depth_quads = params.depth / 4u;
  let inside = k0 + b_place(0u, local).y < depth;
  let tap = (taps_y.first + tap_y * taps_y.step) * params.kernel_x + taps_x.first + tap_x * taps_x.step;
  let hop = vec2u(taps_x.hop, taps_y.hop);
  for (var j = 0u; j < A_LOADS; j++) { // unroll
    let at = patch_at(j, taps_y.count, hop, params.output_height, params.output_width, params.depth);
    let missing = !inside || at == NOWHERE;
    a_next[j] = select(output_gradient[select(at, 0u, missing)], vec4f(), missing);
  }
  for (var j = 0u; j < B_LOADS; j++) { // unroll
    let column = min(column0 + b_place(j, local).x, params.columns - 1u);
    let at = (tap * params.columns + column) * depth_quads + channel / 4u;
    b_next[j] = select(vec4f(), weight[select(0u, at, inside)], inside);
  }
  walk(TILE_K, params.depth, taps_x.count);
}
