// Mean over each window: output[n, oy, ox, c] = mean of the covered input[n, y, x, c]. Cells in the padding do not count, neither in the sum nor in
// the number that divides it.
//
// input   [images, input_height, input_width, 4 * columns]
// output  [images, output_height, output_width, 4 * columns]
//
// A thread owns four channels of up to `run` neighbouring windows. Each row of a window has its own sum, which keeps rounding small where the
// window is the whole image.

// #include "lib/pool.wgsl"

@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = params.columns;
  let input_width = params.input_width;
  let run = run_of((workgroup.x + workgroup.y * workgroups.x) * 64u + thread, params.output_height, params.output_width);
  if (run.image >= params.images) {
    return;
  }
  let ys = covered(run.y, params.kernel_height, params.stride_y, params.padding_y, params.input_height);
  let first_row = run.image * params.input_height;
  let output_row = (run.image * params.output_height + run.y) * params.output_width;
  for (var ox = run.x_begin; ox < run.x_end; ox++) {
    let xs = covered(ox, params.kernel_width, params.stride_x, params.padding_x, input_width);
    var sum = vec4f();
    for (var y = ys.x; y < ys.y; y++) {
      let window_row = (first_row + y) * input_width;
      var row_sum = vec4f();
      for (var x = xs.x; x < xs.y; x++) {
        row_sum += input[(window_row + x) * columns + run.column];
      }
      sum += row_sum;
    }
    let count = (ys.y - ys.x) * (xs.y - xs.x);
    output[(output_row + ox) * columns + run.column] = sum / f32(count);
  }
}
