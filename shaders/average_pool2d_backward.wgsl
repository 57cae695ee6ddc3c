// Gradient of average_pool2d_forward, gathered: each input cell adds the gradient of every covering window over the number of cells that it covers.
//
// output_gradient  [images, output_height, output_width, 4 * columns]
// input_gradient   [images, input_height, input_width, 4 * columns]
//
// A thread owns four channels of up to `run` neighbouring input cells.

// #include "lib/pool.wgsl"

@group(0) @binding(1) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> input_gradient: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = params.columns;
  let run = run_of((workgroup.x + workgroup.y * workgroups.x) * 64u + thread, params.input_height, params.input_width);
  if (run.image >= params.images) {
    return;
  }
  let stride = params.stride_x;
  let kernel_width = params.kernel_width;
  let input_width = params.input_width;
  let output_width = params.output_width;
  let oys = covering(run.y, params.kernel_height, params.stride_y, params.padding_y, params.output_height);
  var oxs = covering(run.x_begin, kernel_width, stride, params.padding_x, output_width);
  let image_row = run.image * params.output_height;
  let input_row = (run.image * params.input_height + run.y) * input_width;
  for (var x = run.x_begin; x < run.x_end; x++) {
    var gradient = vec4f();
    for (var oy = oys.x; oy < oys.y; oy++) {
      let ys = covered(oy, params.kernel_height, params.stride_y, params.padding_y, params.input_height);
      for (var ox = oxs.x; ox < oxs.y; ox++) {
        let xs = covered(ox, kernel_width, stride, params.padding_x, input_width);
        let count = (ys.y - ys.x) * (xs.y - xs.x);
        gradient += output_gradient[((image_row + oy) * output_width + ox) * columns + run.column] / f32(count);
      }
    }
    input_gradient[(input_row + x) * columns + run.column] = gradient;
    oxs = covering_next(oxs, x, kernel_width, stride, params.padding_x, output_width);
  }
}
