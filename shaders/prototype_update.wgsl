// The prototype of each class moves towards the embeddings of its faces, one after the other, and back to length 1
// (Wang et al. 2022, "PiCO", eq. 5): prototype[c] = momentum * prototype[c] + (1 - momentum) * embeddings[n] for every face n of class c.
//
// embeddings [batch, width]; labels (one-hot) [batch, classes]; prototypes [classes, width]
// One class a workgroup, which needs the length of the whole row.

struct Params {
  batch: u32,
  classes: u32,
  width: u32,
  momentum: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> embeddings: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<f32>;
@group(0) @binding(3) var<storage, read_write> prototypes: array<f32>;

var<workgroup> squares: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) thread: u32) {
  let own = workgroup.x;
  let width = params.width;
  let momentum = params.momentum;
  var square = 0.0;
  for (var d = thread; d < width; d += 64u) {
    var value = prototypes[own * width + d];
    for (var face = 0u; face < params.batch; face++) {
      if (labels[face * params.classes + own] > 0.0) {
        value = momentum * value + (1.0 - momentum) * embeddings[face * width + d];
      }
    }
    prototypes[own * width + d] = value;
    square += value * value;
  }
  squares[thread] = square;
  workgroupBarrier();
  var total = 0.0;
  for (var part = 0u; part < 64u; part++) {
    total += squares[part];
  }
  let factor = select(inverseSqrt(total), 0.0, total == 0.0);
  for (var d = thread; d < width; d += 64u) {
    prototypes[own * width + d] *= factor;
  }
}
