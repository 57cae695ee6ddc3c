// Gradient of a convolution of one group (conv2d_forward.wgsl) with respect to its input:
//   input_gradient[n, y, x, c] = Σ_{ky, kx, o} output_gradient[n, (y + pad_top − ky·dilation_y) / stride_y, (x + pad_left − kx·dilation_x) / stride_x, o]
//                                              · weight[ky, kx, c, o]
// over the taps for which both divisions leave no remainder and the pixel lies inside the output.
//
// output_gradient  [batch, output_height, output_width, depth]    depth, the output channels, a multiple of 4
// weight           [kernel_y, kernel_x, columns, depth]           columns, the input channels, a multiple of 4
// input_gradient   [batch, height, width, columns]
//
// Which taps divide depends only on (y mod stride_y, x mod stride_x). So the pixels of one such phase go together, and a subgroup executes only the
// taps that count. It computes ROWS pixels × COLUMNS·SUBGROUP channels by outer products, as in matmul.wgsl.
enable subgroups;

const SUBGROUP: u32 = 8u; // lanes of a subgroup, the same for every launch on the adapter
const ROWS: u32 = 24u; // a multiple of SUBGROUP
const COLUMNS: u32 = 4u; // neighbouring channels of a lane, a divisor of 4: with few channels, four would leave lanes idle

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
  groups: u32, // workgroups with work: phases · row tiles · column tiles
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<f32>;

const LANE_ROWS = ROWS / SUBGROUP; // pixels that a lane loads

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
  let column_tiles = (columns + COLUMNS * SUBGROUP - 1u) / (COLUMNS * SUBGROUP);
  let column0 = (group % column_tiles * SUBGROUP + lane) * COLUMNS; // the first of this lane's input channels
  let first_column = min(column0, columns - COLUMNS);

  // The phase's pixels (phase_y + i·stride_y, phase_x + j·stride_x) form an image of their own, phase_height × phase_width.
  let phase = group / column_tiles / params.row_tiles;
  let phase_y = phase / stride_x;
  let phase_x = phase % stride_x;
  let phase_height = (params.height + stride_y - 1u - phase_y) / stride_y;
  let phase_width = (params.width + stride_x - 1u - phase_x) / stride_x;
  let rows = params.batch * phase_height * phase_width;
  let row0 = group / column_tiles % params.row_tiles * ROWS;
  if (row0 >= rows) {
    return;
  }

  var image: array<u32, LANE_ROWS>;
  var phase_line: array<u32, LANE_ROWS>;
  var phase_column: array<u32, LANE_ROWS>;
  for (var j = 0u; j < LANE_ROWS; j++) { // unroll
    let row = min(row0 + j * SUBGROUP + lane, rows - 1u);
    let line = row / phase_width;
    image[j] = line / phase_height * output_height;
    phase_line[j] = line % phase_height;
    phase_column[j] = row % phase_width;
  }

  var sum: array<f32, ROWS * COLUMNS>;
  for (var ky = 0u; ky < kernel_y; ky++) {
    let offset_y = i32(phase_y + params.pad_top) - i32(ky * params.dilation_y);
    for (var kx = 0u; kx < kernel_x; kx++) {
      let offset_x = i32(phase_x + params.pad_left) - i32(kx * params.dilation_x);
      if (offset_y % i32(stride_y) != 0 || offset_x % i32(stride_x) != 0) {
        continue;
      }
      var at: array<u32, LANE_ROWS>;
      var inside: array<bool, LANE_ROWS>;
      for (var j = 0u; j < LANE_ROWS; j++) { // unroll
        // Negative places wrap round and fail the comparison.
        let y = phase_line[j] + u32(offset_y / i32(stride_y));
        let x = phase_column[j] + u32(offset_x / i32(stride_x));
        inside[j] = y < output_height && x < output_width;
        at[j] = select(0u, ((image[j] + y) * output_width + x) * depth_quads, inside[j]);
      }
      var weight_at = ((ky * kernel_x + kx) * columns + first_column) * depth_quads;
      for (var channel = 0u; channel < depth_quads; channel++) {
        var values: array<vec4f, LANE_ROWS>;
        for (var j = 0u; j < LANE_ROWS; j++) { // unroll
          values[j] = select(vec4f(), output_gradient[at[j] + channel], inside[j]);
        }
        var weights: array<vec4f, COLUMNS>;
        for (var c = 0u; c < COLUMNS; c++) { // unroll
          weights[c] = weight[weight_at + c * depth_quads];
        }
        weight_at++;
        for (var row = 0u; row < ROWS; row++) { // unroll
          for (var i = 0u; i < 4u; i++) { // unroll
            let value = subgroupShuffle(values[row / SUBGROUP][i], row % SUBGROUP);
            for (var c = 0u; c < COLUMNS; c++) { // unroll
              sum[row * COLUMNS + c] += value * weights[c][i];
            }
          }
        }
      }
    }
  }

  if (column0 >= columns) {
    return;
  }
  // A copy with a running index: written out, the stores would double the time that a driver takes to compile.
  var tile: array<f32, ROWS * COLUMNS>;
  for (var i = 0u; i < ROWS * COLUMNS; i++) { // unroll
    tile[i] = sum[i];
  }
  // The first pixel's place takes divisions, which are slow, the others follow from it.
  let line = row0 / phase_width;
  var j = row0 - line * phase_width;
  var n = line / phase_height;
  var i = line - n * phase_height;
  let row_end = min(ROWS, rows - row0);
  for (var row = 0u; row < row_end; row++) {
    let pixel = (n * params.height + phase_y + i * stride_y) * params.width + phase_x + j * stride_x;
    for (var c = 0u; c < COLUMNS; c++) { // unroll
      input_gradient[pixel * columns + column0 + c] = tile[row * COLUMNS + c];
    }
    j++;
    let line_done = j == phase_width;
    j = select(j, 0u, line_done);
    i += select(0u, 1u, line_done);
    let image_done = i == phase_height;
    i = select(i, 0u, image_done);
    n += select(0u, 1u, image_done);
  }
}
