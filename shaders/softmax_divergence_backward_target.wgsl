// Gradient of the divergence of softmax_divergence.wgsl in the target, for targets that are computed themselves (fused or taught distributions).
// Per face, with p = softmax(logits / T) and u the gradient of the mean loss:
//   target_gradient = u weight / rows * T² * (log t + 1 - log p);   CROSS_ENTROPY: ... * -log p;   MULTI_TARGET: ... * -1 / t at argmax t p, else 0
// Where t is 0, t log t counts as the constant 0.
//
// logits, targets, target_gradient [rows, classes]; weight [rows]; output_gradient (u) [1]
// One face a thread, as in the forward kernel.

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
@group(0) @binding(4) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> target_gradient: array<f32>;

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

  let scale = output_gradient[0] * weight[row] / f32(params.rows) * temperature * temperature;
  var best = end;
  var best_score = 0.0;
  for (var i = start; i < end; i += 4u) {
    let shares = four_targets(i, end);
    let log_p = four_log_probabilities(i, end, temperature, normaliser);
    for (var j = 0u; j < 4u; j++) { // unroll
      if (i + j < end) {
        let share = shares[j];
        if (KIND == MULTI_TARGET) {
          target_gradient[i + j] = 0.0;
          let score = log(share) + log_p[j];
          if (!is_zero(share) && (best == end || score > best_score || is_nan(score))) {
            best = i + j;
            best_score = score;
          }
        } else {
          let own = KIND == KL && !is_zero(share);
          target_gradient[i + j] = scale * (select(0.0, log(share) + 1.0, own) - log_p[j]);
        }
      }
    }
  }
  if (best < end) {
    target_gradient[best] = -scale / targets[best];
  }
}
