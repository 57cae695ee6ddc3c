// Convolution of one group, with what follows it:
//   output[n, y, x, o] = act(Σ_{ky, kx, c} input[n, y·stride_y − pad_top + ky·dilation_y, x·stride_x − pad_left + kx·dilation_x, c] · weight[ky, kx, c, o]
//                            + bias[o] + residual[n, y, x, o])
// Pixels outside the image count as zero. act is the identity, or max(0, ·) with RELU.
//
// input     [batch, height, width, channels]             channels a multiple of 4
// weight    [kernel_y, kernel_x, channels, columns]      columns, the output channels, a multiple of 4
// bias      [columns]; any tensor without BIAS
// residual  as output; any tensor without RESIDUAL
// output    [batch, output_height, output_width, columns]
//
// A matrix product whose left side is never written down: its rows are output pixels, its depth runs over the taps of the kernel and the channels.
// One subgroup computes SUBGROUP·PIXELS pixels × 4·QUADS channels as a sum of outer products. A lane owns PIXELS pixels and keeps the sums of all the
// channels in registers; the weights are loaded once across the lanes and handed round by shuffles from literal lanes (matmul.wgsl says why).
enable subgroups;

// #include "lib/conv2d.wgsl"

const SUBGROUP: u32 = 8u; // lanes of a subgroup, the same for every launch on the adapter
const PIXELS: u32 = 3u; // of a lane
const QUADS: u32 = 8u; // vec4 of output channels of a pixel

@group(0) @binding(1) var<storage, read> input: array<vec4f>;

const WEIGHTS = 4u * QUADS; // vec4 for four input channels
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
  let height = params.height;
  let width = params.width;
  let channel_quads = params.channels / 4u;
  let column_quads = params.columns / 4u;
  let kernel_y = params.kernel_y;
  let kernel_x = params.kernel_x;
  let dilation_y = params.dilation_y;
  let dilation_x = params.dilation_x;
  let rows = params.batch * params.output_height * params.output_width;
  let column_tiles = (column_quads + QUADS - 1u) / QUADS;
  let row0 = group / column_tiles * (SUBGROUP * PIXELS);
  let quad0 = group % column_tiles * QUADS;

  // Of this lane's pixels: the image, and the place of the kernel's first tap. Negative places wrap round and fail the comparison below.
  var image: array<u32, PIXELS>;
  var top: array<u32, PIXELS>;
  var left: array<u32, PIXELS>;
  for (var p = 0u; p < PIXELS; p++) { // unroll
    let row = min(row0 + p * SUBGROUP + lane, rows - 1u);
    let line = row / params.output_width;
    image[p] = line / params.output_height * height;
    top[p] = line % params.output_height * params.stride_y - params.pad_top;
    left[p] = row % params.output_width * params.stride_x - params.pad_left;
  }
  var weight_at: array<u32, LANE_WEIGHTS>;
  for (var j = 0u; j < LANE_WEIGHTS; j++) { // unroll
    let w = j * SUBGROUP + lane;
    weight_at[j] = w / QUADS % 4u * column_quads + min(quad0 + w % QUADS, column_quads - 1u);
  }

  var sum: array<vec4f, QUADS * PIXELS>;
  for (var ky = 0u; ky < kernel_y; ky++) {
    for (var kx = 0u; kx < kernel_x; kx++) {
      var at: array<u32, PIXELS>;
      var inside: array<bool, PIXELS>;
      for (var p = 0u; p < PIXELS; p++) { // unroll
        let y = top[p] + ky * dilation_y;
        let x = left[p] + kx * dilation_x;
        inside[p] = y < height && x < width;
        at[p] = select(0u, ((image[p] + y) * width + x) * channel_quads, inside[p]);
      }
      for (var channel = 0u; channel < channel_quads; channel++) {
        var values: array<vec4f, PIXELS>;
        for (var p = 0u; p < PIXELS; p++) { // unroll
          values[p] = select(vec4f(), input[at[p] + channel], inside[p]);
        }
        var weights: array<vec4f, LANE_WEIGHTS>;
        for (var j = 0u; j < LANE_WEIGHTS; j++) { // unroll
          weights[j] = weight[weight_at[j]];
          weight_at[j] += 4u * column_quads;
        }
        for (var quad = 0u; quad < QUADS; quad++) { // unroll
          var four: array<vec4f, 4>;
          for (var i = 0u; i < 4u; i++) { // unroll
            four[i] = subgroupShuffle(weights[(i * QUADS + quad) / SUBGROUP], (i * QUADS + quad) % SUBGROUP);
          }
          for (var p = 0u; p < PIXELS; p++) { // unroll
            for (var i = 0u; i < 4u; i++) { // unroll
              sum[quad * PIXELS + p] += values[p][i] * four[i];
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
  for (var quad = quad0; quad < quad_end; quad++) {
    let offset = offset_of(quad);
    for (var row = row0 + lane; row < row_end; row += SUBGROUP) {
      finish(row * column_quads + quad, tile[(quad - quad0) * PIXELS + (row - row0) / SUBGROUP] + offset);
    }
  }
}
