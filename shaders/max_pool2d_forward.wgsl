// Maximum over each window: output[n, oy, ox, c] = max of the covered input[n, y, x, c]; cells in the padding do not count. NaN wins over numbers.
//
// input   [images, input_height, input_width, 4 * columns]
// output  [images, output_height, output_width, 4 * columns]
// places  [images, output_height, output_width, columns]: where in the window (ky * kernel_width + kx < 256) the maximum lies, a byte a channel.
//         Of equal maxima the first in row order, of NaNs the last, as in PyTorch.
//
// A thread owns four channels of up to `run` neighbouring windows.

// #include "lib/pool.wgsl"

@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> places: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = params.columns;
  let input_width = params.input_width;
  let kernel_width = params.kernel_width;
  let run = run_of((workgroup.x + workgroup.y * workgroups.x) * 64u + thread, params.output_height, params.output_width);
  if (run.image >= params.images) {
    return;
  }
  let ys = covered(run.y, params.kernel_height, params.stride_y, params.padding_y, params.input_height);
  let first_row = run.image * params.input_height;
  let output_row = (run.image * params.output_height + run.y) * params.output_width;
  let window_y = ys.x + params.padding_y - run.y * params.stride_y; // of the first covered row
  for (var ox = run.x_begin; ox < run.x_end; ox++) {
    let xs = covered(ox, kernel_width, params.stride_x, params.padding_x, input_width);
    let corner = window_y * kernel_width + xs.x + params.padding_x - ox * params.stride_x;
    var maximum = input[((first_row + ys.x) * input_width + xs.x) * columns + run.column];
    var best = vec4u(corner);
    for (var y = ys.x; y < ys.y; y++) {
      let window_row = (first_row + y) * input_width;
      let row_corner = corner + (y - ys.x) * kernel_width;
      for (var x = xs.x; x < xs.y; x++) {
        let value = input[(window_row + x) * columns + run.column];
        let is_nan = (bitcast<vec4u>(value) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
        let better = (value > maximum) | is_nan;
        maximum = select(maximum, value, better);
        best = select(best, vec4u(row_corner + x - xs.x), better);
      }
    }
    let at = (output_row + ox) * columns + run.column;
    output[at] = maximum;
    places[at] = best.x | (best.y << 8u) | (best.z << 16u) | (best.w << 24u);
  }
}
