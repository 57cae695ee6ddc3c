// The mean prediction of a model over the faces of each class, taken over an epoch (Liu et al. 2023, "Ada-DF", §2.2):
//   sums[y, :] += (softmax(logits[n, :]), 1) for every face n of class y
// and, before that, in the first step of an epoch (`begins` above 0):
//   distribution[y, :] = the mean of the epoch before where its own class has at least `threshold` in it, else `threshold` for its own class and the rest evenly
//   for the others; sums = 0
//
// logits, targets (one-hot) [batch, classes]; begins [1]; sums [classes, classes + 1]; distribution [classes, classes]
// One class a thread: there are few, and so the order of the sum is fixed.

struct Params {
  batch: u32,
  classes: u32,
  threshold: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<f32>;
@group(0) @binding(3) var<storage, read> begins: array<f32>;
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;
@group(0) @binding(5) var<storage, read_write> distribution: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let own = thread.x;
  let classes = params.classes;
  if (own >= classes) {
    return;
  }
  let row = own * (classes + 1u);
  if (begins[0] > 0.0) {
    let count = sums[row + classes];
    let is_sure = count > 0.0 && sums[row + own] >= params.threshold * count;
    let rest = (1.0 - params.threshold) / f32(classes - 1u);
    for (var c = 0u; c < classes; c++) {
      let plain = select(rest, params.threshold, c == own);
      distribution[own * classes + c] = select(plain, sums[row + c] / max(count, 1.0), is_sure);
      sums[row + c] = 0.0;
    }
    sums[row + classes] = 0.0;
  }
  for (var face = 0u; face < params.batch; face++) {
    let start = face * classes;
    if (targets[start + own] <= 0.0) {
      continue;
    }
    var top = logits[start];
    for (var c = 1u; c < classes; c++) {
      top = max(top, logits[start + c]);
    }
    var total = 0.0;
    for (var c = 0u; c < classes; c++) {
      total += exp(logits[start + c] - top);
    }
    for (var c = 0u; c < classes; c++) {
      sums[row + c] += exp(logits[start + c] - top) / total;
    }
    sums[row + classes] += 1.0;
  }
}
