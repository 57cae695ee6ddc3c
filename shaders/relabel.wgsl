// table[rows[n], :] = onehot(c), c the most probable class of face n, where its probability is above that of the present label by more than `margin`
// (Wang et al. 2020, SCN, eq. 5), but only for faces outside the high group.
//
// logits, targets (one-hot) [batch, classes]; high [batch]; rows u32 [batch], all different; table [count, classes]
// One face a thread: classes are few, so that a row stays in cache.

struct Params {
  batch: u32,
  classes: u32,
  margin: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<f32>;
@group(0) @binding(3) var<storage, read> high: array<f32>;
@group(0) @binding(4) var<storage, read> rows: array<u32>;
@group(0) @binding(5) var<storage, read_write> table: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let face = thread.x;
  if (face >= params.batch || high[face] > 0.0) {
    return;
  }
  let classes = params.classes;
  let start = face * classes;
  var best = 0u;
  for (var c = 1u; c < classes; c++) {
    best = select(best, c, logits[start + c] > logits[start + best]);
  }
  var sum = 0.0;
  var labelled = 0.0;
  for (var c = 0u; c < classes; c++) {
    let term = exp(logits[start + c] - logits[start + best]);
    sum += term;
    labelled += targets[start + c] * term;
  }
  if ((1.0 - labelled) / sum > params.margin) {
    for (var c = 0u; c < classes; c++) {
      table[rows[face] * classes + c] = select(0.0, 1.0, c == best);
    }
  }
}
