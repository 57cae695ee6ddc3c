// output[n, :] = onehot of one class drawn from the distribution shares[n, :], by inversion: the class whose interval of the cumulated shares holds u,
// uniform in [0, 1) and a function of (seed, epoch, stream, indices[n]), so that a face gets another label at every visit.
//
// shares, output [rows, classes]; indices u32 [rows]; step: the state of the step
// One face a thread. Rounding may leave the sum just below 1: then the last possible class. A row without mass gives zeros.

// #include "lib/random.wgsl"
// #include "lib/step.wgsl"

struct Params {
  rows: u32,
  classes: u32,
  stream: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read> shares: array<f32>;
@group(0) @binding(3) var<storage, read> indices: array<u32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let row = thread.x;
  if (row >= params.rows) {
    return;
  }
  let classes = params.classes;
  let u = unit_floats(random_words(step.seed, step.epoch, params.stream, indices[row])).x;
  var drawn = classes;
  var below = 0.0;
  for (var c = 0u; c < classes && !(drawn < classes && u < below); c++) {
    let share = shares[row * classes + c];
    if (share > 0.0) {
      below += share;
      drawn = c;
    }
  }
  for (var c = 0u; c < classes; c++) {
    output[row * classes + c] = select(0.0, 1.0, c == drawn);
  }
}
