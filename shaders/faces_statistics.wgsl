// Mean and deviation of each face's pixels in 0…1, for normalising faces one by one: statistics = (mean, max(deviation, 1)) / 255 of the input rounded to
// 8 bits, as `faces_pack` writes it. A face without contrast is given a deviation of one grey level, so that it becomes zeros.
//
// input: [batch, face_size]; statistics: [batch, 2]
// A workgroup has a face. Whole grey levels are summed first, exactly, then their squared distances from the mean, which cannot cancel.

// #include "lib/grey_level.wgsl"

struct Params {
  batch: u32,
  face_size: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> statistics: array<vec2f>;

var<workgroup> counts: array<u32, 64>;
var<workgroup> squares: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let face = workgroup.x + workgroup.y * workgroups.x;
  let known = face < params.batch;
  let first = face * params.face_size;
  let end = select(first, first + params.face_size, known);
  let size = f32(params.face_size);
  var sum = 0u;
  for (var i = first + thread; i < end; i += 64u) {
    sum += grey_level(input[i]);
  }
  counts[thread] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      counts[thread] += counts[thread + half];
    }
  }
  workgroupBarrier();
  let mean = f32(counts[0]) / size;
  var square = 0.0;
  for (var i = first + thread; i < end; i += 64u) {
    let distance = f32(grey_level(input[i])) - mean;
    square += distance * distance;
  }
  squares[thread] = square;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      squares[thread] += squares[thread + half];
    }
  }
  workgroupBarrier();
  if (thread == 0u && known) {
    statistics[face] = vec2f(mean, max(sqrt(squares[0] / size), 1.0)) / 255.0;
  }
}
