// table[rows[n], :] = how sure the model is of each candidate of face n, from its scores; by KIND:
//   PROBABILITY  softmax(scores) within the candidates, normalised over them (RC: Feng et al. 2020; PRODEN: Lv et al. 2020, eq. 7)
//   EACH_SIDE    softmax(scores), normalised over the candidates and over the other classes apart (LWS: Wen et al. 2021)
//   ACTIVATION   one-hot of the candidate with the largest z |1 - z| (CAVL: Zhang et al. 2022, eq. 7)
//   LARGEST      one-hot of the candidate with the largest score
// or with MOVING momentum * before + (1 - momentum) * that (PiCO: Wang et al. 2022, eq. 6, with LARGEST)
//
// scores, candidates (0 or 1) [batch, classes]; rows u32 [batch], all different; momentum [1] (MOVING only); table [count, classes]
// One face a thread: classes are few, so that a row stays in cache.

struct Params {
  batch: u32,
  classes: u32,
}

const KIND: u32 = 0u; // PROBABILITY; 3 is LARGEST
const EACH_SIDE: u32 = 1u;
const ACTIVATION: u32 = 2u;

const MOVING: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> candidates: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<u32>;
@group(0) @binding(4) var<storage, read> momentum: array<f32>;
@group(0) @binding(5) var<storage, read_write> table: array<f32>;

fn score(i: u32) -> f32 {
  let z = scores[i];
  return select(z, z * abs(1.0 - z), KIND == ACTIVATION);
}

fn keep(i: u32, confidence: f32) {
  if (MOVING) {
    table[i] = mix(confidence, table[i], momentum[0]);
  } else {
    table[i] = confidence; // whatever was there, NaN as well in memory not written before
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let face = thread.x;
  if (face >= params.batch) {
    return;
  }
  let classes = params.classes;
  let start = face * classes;
  let target_start = rows[face] * classes;

  // The largest on either side: of the candidates and of the others.
  var best = vec2f(-3.4e38);
  var chosen = classes;
  for (var c = 0u; c < classes; c++) {
    let own = score(start + c);
    if (candidates[start + c] > 0.0) {
      if (chosen == classes || own > best.x) {
        best.x = own;
        chosen = c;
      }
    } else {
      best.y = max(best.y, own);
    }
  }
  if (KIND >= ACTIVATION) {
    for (var c = 0u; c < classes; c++) {
      keep(target_start + c, select(0.0, 1.0, c == chosen));
    }
    return;
  }
  var sums = vec2f();
  for (var c = 0u; c < classes; c++) {
    let is_candidate = candidates[start + c] > 0.0;
    let term = exp(scores[start + c] - select(best.y, best.x, is_candidate));
    sums += select(vec2f(0.0, term), vec2f(term, 0.0), is_candidate);
  }
  for (var c = 0u; c < classes; c++) {
    let is_candidate = candidates[start + c] > 0.0;
    let share = exp(scores[start + c] - select(best.y, best.x, is_candidate)) / select(sums.y, sums.x, is_candidate);
    keep(target_start + c, select(select(0.0, share, KIND == EACH_SIDE), share, is_candidate));
  }
}
