// Gradient of max_pool2d_forward, gathered: each input cell adds the gradients of those covering windows whose maximum it is.
//
// places           [images, output_height, output_width, columns], from the forward pass
// output_gradient  [images, output_height, output_width, 4 * columns]
// input_gradient   [images, input_height, input_width, 4 * columns]
//
// A thread owns four channels of up to `run` neighbouring input cells. Gathering needs no atomics, and adds in a fixed order.

// #include "lib/pool.wgsl"

@group(0) @binding(1) var<storage, read> places: array<u32>;
@group(0) @binding(2) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = params.columns;
  let run = run_of((workgroup.x + workgroup.y * workgroups.x) * 64u + thread, params.input_height, params.input_width);
  if (run.image >= params.images) {
    return;
  }
  let stride = params.stride_x;
  let kernel_width = params.kernel_width;
  let output_width = params.output_width;
  let oys = covering(run.y, params.kernel_height, params.stride_y, params.padding_y, params.output_height);
  var oxs = covering(run.x_begin, kernel_width, stride, params.padding_x, output_width);
  let image_row = run.image * params.output_height;
  let input_row = (run.image * params.input_height + run.y) * params.input_width;
  for (var x = run.x_begin; x < run.x_end; x++) {
    let place_x = x + params.padding_x;
    var gradient = vec4f();
    for (var oy = oys.x; oy < oys.y; oy++) {
      let row_place = (run.y + params.padding_y - oy * params.stride_y) * kernel_width + place_x;
      for (var ox = oxs.x; ox < oxs.y; ox++) {
        let at = ((image_row + oy) * output_width + ox) * columns + run.column;
        let best = (vec4u(places[at]) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(0xffu);
        gradient += select(vec4f(), output_gradient[at], best == vec4u(row_place - ox * stride));
      }
    }
    input_gradient[(input_row + x) * columns + run.column] = gradient;
    oxs = covering_next(oxs, x, kernel_width, stride, params.padding_x, output_width);
  }
}
