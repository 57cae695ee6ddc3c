// Divergence between softmax(logits / T) and a target distribution, and its gradients, in one pass. Per face, with p = softmax(logits / T):
//   face_loss       l, by KIND (lib/divergence.wgsl)
//   weighted_loss   weight * l
//   logit_gradient  weight / rows * T * (p Σt - t);   MULTI_TARGET: weight / rows * T * (p - onehot(argmax t p))
//   weight_gradient l / rows
// the gradients being those of the mean of weighted_loss over the faces.
//
// logits, targets, logit_gradient [rows, classes]; weight, face_loss, weighted_loss, weight_gradient [rows]
// One face a thread: classes are few, so that a row stays in cache.

// #include "lib/divergence.wgsl"

struct Params {
  rows: u32,
  classes: u32,
  temperature: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read_write> face_loss: array<f32>;
@group(0) @binding(5) var<storage, read_write> weighted_loss: array<f32>;
@group(0) @binding(6) var<storage, read_write> logit_gradient: array<f32>;
@group(0) @binding(7) var<storage, read_write> weight_gradient: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = (workgroup.x + workgroup.y * workgroups.x) * 64u + thread;
  if (row >= params.rows) {
    return;
  }
  let classes = params.classes;
  let temperature = params.temperature;
  let start = row * classes;
  let end = start + classes;

  let normaliser = normaliser_of(start, end, temperature);

  var loss = 0.0;
  var mass = 0.0;
  var best = end; // MULTI_TARGET: the class with the largest t p
  for (var i = start; i < end; i++) {
    let share = targets[i];
    mass += share;
    if (!is_zero(share)) {
      let log_p = log_probability(logits[i], temperature, normaliser);
      if (KIND == MULTI_TARGET) {
        let term = -(log(share) + log_p);
        if (best == end || term < loss || is_nan(term)) {
          loss = term;
          best = i;
        }
      } else {
        loss += share * (select(0.0, log(share), KIND == KL) - log_p);
      }
    }
  }
  if (KIND == MULTI_TARGET && best == end) {
    loss = -log(0.0 * mass); // no class is right: infinity
  }
  loss *= temperature * temperature;

  let scale = select(1.0 / f32(params.rows), loss, is_nan(loss)); // NaN shows in all gradients, also where the formula would skip it
  let face_weight = weight[row];
  face_loss[row] = loss;
  weighted_loss[row] = face_weight * loss;
  weight_gradient[row] = scale * loss;
  for (var i = start; i < end; i++) {
    let p = exp(log_probability(logits[i], temperature, normaliser));
    let difference = select(p * mass - targets[i], p - select(0.0, 1.0, i == best), KIND == MULTI_TARGET);
    logit_gradient[i] = face_weight * scale * temperature * difference;
  }
}
