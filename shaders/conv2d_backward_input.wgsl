// Gradient of a convolution of one group (conv2d_forward.wgsl) with respect to its input:
//   input_gradient[n, y, x, c] = Σ_{ky, kx, o} output_gradient[n, (y + pad_top − ky·dilation_y) / stride_y, (x + pad_left − kx·dilation_x) / stride_x, o]
//                                              · weight[ky, kx, c, o]
// over the taps for which both divisions leave no remainder and the pixel lies inside the output, + residual[n, y, x, c], what other uses of the input give.
//
// output_gradient  [batch, output_height, output_width, depth]    depth, the output channels, a multiple of 4
// weight           [kernel_y, kernel_x, columns, depth]           columns, the input channels, a multiple of 4
// residual         as input_gradient; any tensor where has_residual is 0
// input_gradient   [batch, height, width, columns]
//
// Which taps divide depends only on (y mod stride_y, x mod stride_x). So the pixels of one such phase go together, and a subgroup executes only the
// taps that count. It computes SUBGROUP·PIXELS pixels × 4·QUADS channels by outer products whose lanes own pixels, as in conv2d_forward.wgsl.
enable subgroups;

const SUBGROUP: u32 = 8u; // lanes of a subgroup, the same for every launch on the adapter
const PIXELS: u32 = 3u; // of a lane
const QUADS: u32 = 8u; // vec4 of input channels of a pixel

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

const WEIGHTS = 4u * QUADS; // vec4 for four output channels
const LANE_WEIGHTS = (WEIGHTS + SUBGROUP - 1u) / SUBGROUP; // of those, what a lane loads

@compute @workgroup_size(SUBGROUP)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let group = workgroup_id.x + workgroup_id.y * num_workgroups.x;
  if (group >= params.groups) {
    return;
  }
  let stride_y = params.stride_y;
  let stride_x = params.stride_x;
  let output_height = params.output_height;
  let output_width = params.output_width;
  let depth_quads = params.depth / 4u;
  let columns = params.columns;
  let kernel_y = params.kernel_y;
  let kernel_x = params.kernel_x;
  let column_quads = columns / 4u;
  let column_tiles = (column_quads + QUADS - 1u) / QUADS;
  let quad0 = group % column_tiles * QUADS;

  // The phase's pixels (phase_y + i·stride_y, phase_x + j·stride_x) form an image of their own, phase_height × phase_width.
  let phase = group / column_tiles / params.row_tiles;
  let phase_y = phase / stride_x;
  let phase_x = phase % stride_x;
  let phase_height = (params.height + stride_y - 1u - phase_y) / stride_y;
  let phase_width = (params.width + stride_x - 1u - phase_x) / stride_x;
  let rows = params.batch * phase_height * phase_width;
  let row0 = group / column_tiles % params.row_tiles * (SUBGROUP * PIXELS);
  if (row0 >= rows) {
    return;
  }

  var image: array<u32, PIXELS>;
  var phase_line: array<u32, PIXELS>;
  var phase_column: array<u32, PIXELS>;
  // Where this lane's pixels lie in the input's gradient. A copy, for a running index.
  var places: array<u32, PIXELS>;
  for (var p = 0u; p < PIXELS; p++) { // unroll
    let row = min(row0 + p * SUBGROUP + lane, rows - 1u);
    let line = row / phase_width;
    let n = line / phase_height;
    image[p] = n * output_height;
    phase_line[p] = line - n * phase_height;
    phase_column[p] = row - line * phase_width;
    places[p] = ((n * params.height + phase_y + phase_line[p] * stride_y) * params.width + phase_x + phase_column[p] * stride_x) * column_quads;
  }
  var lane_weight: array<u32, LANE_WEIGHTS>;
  for (var j = 0u; j < LANE_WEIGHTS; j++) { // unroll
    lane_weight[j] = min(4u * quad0 + (j * SUBGROUP + lane) % WEIGHTS, columns - 1u) * depth_quads;
  }

  var sum: array<vec4f, QUADS * PIXELS>;
  for (var ky = 0u; ky < kernel_y; ky++) {
    let offset_y = i32(phase_y + params.pad_top) - i32(ky * params.dilation_y);
    for (var kx = 0u; kx < kernel_x; kx++) {
      let offset_x = i32(phase_x + params.pad_left) - i32(kx * params.dilation_x);
      if (offset_y % i32(stride_y) != 0 || offset_x % i32(stride_x) != 0) {
        continue;
      }
      var at: array<u32, PIXELS>;
      var inside: array<bool, PIXELS>;
      for (var p = 0u; p < PIXELS; p++) { // unroll
        // Negative places wrap round and fail the comparison.
        let y = phase_line[p] + u32(offset_y / i32(stride_y));
        let x = phase_column[p] + u32(offset_x / i32(stride_x));
        inside[p] = y < output_height && x < output_width;
        at[p] = select(0u, ((image[p] + y) * output_width + x) * depth_quads, inside[p]);
      }
      let tap_weight = (ky * kernel_x + kx) * columns * depth_quads;
      for (var channel = 0u; channel < depth_quads; channel++) {
        var values: array<vec4f, PIXELS>;
        for (var p = 0u; p < PIXELS; p++) { // unroll
          values[p] = select(vec4f(), output_gradient[at[p] + channel], inside[p]);
        }
        var weights: array<vec4f, LANE_WEIGHTS>;
        for (var j = 0u; j < LANE_WEIGHTS; j++) { // unroll
          weights[j] = weight[tap_weight + lane_weight[j] + channel];
        }
        for (var quad = 0u; quad < QUADS; quad++) { // unroll
          var four: array<vec4f, 4>;
          for (var c = 0u; c < 4u; c++) { // unroll
            four[c] = subgroupShuffle(weights[(4u * quad + c) / SUBGROUP], (4u * quad + c) % SUBGROUP);
          }
          for (var p = 0u; p < PIXELS; p++) { // unroll
            for (var i = 0u; i < 4u; i++) { // unroll
              sum[quad * PIXELS + p] += values[p][i] * vec4f(four[0][i], four[1][i], four[2][i], four[3][i]);
            }
          }
        }
      }
    }
  }

  // A copy with a running index: written out, the stores would take a driver longer to compile than all else. Bounds without a number keep them as loops.
  var tile: array<vec4f, QUADS * PIXELS>;
  for (var i = 0u; i < QUADS * PIXELS; i++) { // unroll
    tile[i] = sum[i];
  }
  let quad_end = min(quad0 + QUADS, column_quads);
  let row_end = min(row0 + PIXELS * SUBGROUP, rows);
  let has_residual = params.has_residual != 0u;
  for (var quad = quad0; quad < quad_end; quad++) {
    for (var row = row0 + lane; row < row_end; row += SUBGROUP) {
      let p = (row - row0) / SUBGROUP;
      var value = tile[(quad - quad0) * PIXELS + p];
      if (has_residual) {
        value += residual[places[p] + quad];
      }
      input_gradient[places[p] + quad] = value;
    }
  }
}
