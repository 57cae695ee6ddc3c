// Losses of partial labels and their gradients in one pass. S are the candidates of a face, the other classes are its complement; p = softmax(logits). By KIND:
//   CANDIDATES   -log sum_S p                                                  (Feng et al. 2020, classifier-consistent, eq. 8)
//   LEVERAGED    sum_S w s(-z) + leverage * sum_complement w s(z), s the sigmoid  (Wen et al. 2021, eq. 2)
//   COMPLEMENT   -sum_complement log(1 - p)                                    (Wu, Wang & Zhang 2022, eq. 3)
// face_loss is the loss of each face, logit_gradient the gradient of its mean over the faces.
//
// logits, candidates (0 or 1), weights (LEVERAGED only), logit_gradient [rows, classes]; face_loss [rows]
// One face a thread: classes are few, so that a row stays in cache.

struct Params {
  rows: u32,
  classes: u32,
  leverage: f32,
}

const KIND: u32 = 2u; // COMPLEMENT
const CANDIDATES: u32 = 0u;
const LEVERAGED: u32 = 1u;

// 1 - p is at least this, about the distance of 1 from the next float32.
const SMALLEST: f32 = 1e-7;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> candidates: array<f32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> face_loss: array<f32>;
@group(0) @binding(5) var<storage, read_write> logit_gradient: array<f32>;

fn sigmoid(x: f32) -> f32 {
  return 1.0 / (1.0 + exp(-x));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let row = thread.x;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.classes;
  let end = start + params.classes;
  let scale = 1.0 / f32(params.rows);

  if (KIND == LEVERAGED) {
    var loss = 0.0;
    for (var i = start; i < end; i++) {
      // The sign turns the complement's term into the candidates'.
      let sign = select(1.0, -1.0, candidates[i] > 0.0);
      let weight = weights[i] * select(params.leverage, 1.0, candidates[i] > 0.0);
      let s = sigmoid(sign * logits[i]);
      loss += weight * s;
      logit_gradient[i] = scale * weight * sign * s * (1.0 - s);
    }
    face_loss[row] = loss;
    return;
  }

  var top = logits[start];
  for (var i = start + 1u; i < end; i++) {
    top = max(top, logits[i]);
  }
  var inside = 0.0;
  var outside = 0.0;
  for (var i = start; i < end; i++) {
    let term = exp(logits[i] - top);
    inside += select(0.0, term, candidates[i] > 0.0);
    outside += select(term, 0.0, candidates[i] > 0.0);
  }
  let total = inside + outside;

  if (KIND == CANDIDATES) {
    // log of the whole over that of the candidates, which may both be tiny beside a class that is none.
    var best = -3.4e38;
    for (var i = start; i < end; i++) {
      best = select(best, max(best, logits[i]), candidates[i] > 0.0);
    }
    var above = 0.0;
    for (var i = start; i < end; i++) {
      above += select(0.0, exp(logits[i] - best), candidates[i] > 0.0);
    }
    face_loss[row] = log(total) + top - log(above) - best;
    for (var i = start; i < end; i++) {
      let share = select(0.0, exp(logits[i] - best) / above, candidates[i] > 0.0);
      logit_gradient[i] = scale * (exp(logits[i] - top) / total - share);
    }
    return;
  }

  var loss = 0.0;
  var odds = 0.0;
  for (var i = start; i < end; i++) {
    let p = exp(logits[i] - top) / total;
    let rest = max(1.0 - p, SMALLEST);
    loss -= select(log(rest), 0.0, candidates[i] > 0.0);
    odds += select(p / rest, 0.0, candidates[i] > 0.0);
  }
  face_loss[row] = loss;
  for (var i = start; i < end; i++) {
    let p = exp(logits[i] - top) / total;
    let own = select(p / max(1.0 - p, SMALLEST), 0.0, candidates[i] > 0.0);
    logit_gradient[i] = scale * (own - p * odds);
  }
}
