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
  for (var i = start; i < end; i += 4u) {
    let shares = four_targets(i, end);
    let log_p = four_log_probabilities(i, end, temperature, normaliser);
    var log_shares = vec4f();
    if (KIND != CROSS_ENTROPY) {
      log_shares = log(shares);
    }
    for (var j = 0u; j < 4u; j++) { // unroll
      let share = select(0.0, shares[j], i + j < end);
      mass += share;
      if (!is_zero(share)) {
        if (KIND == MULTI_TARGET) {
          let term = -(log_shares[j] + log_p[j]);
          if (best == end || term < loss || is_nan(term)) {
            loss = term;
            best = i + j;
          }
        } else {
          loss += share * (log_shares[j] - log_p[j]);
        }
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
  for (var i = start; i < end; i += 4u) {
    let p = exp(four_log_probabilities(i, end, temperature, normaliser));
    let right = select(vec4f(), vec4f(1.0), i + vec4u(0u, 1u, 2u, 3u) == vec4u(best));
    let difference = select(p * mass - four_targets(i, end), p - right, KIND == MULTI_TARGET);
    let gradient = face_weight * scale * temperature * difference;
    for (var j = 0u; j < 4u; j++) { // unroll
      if (i + j < end) {
        logit_gradient[i + j] = gradient[j];
      }
    }
  }
}
