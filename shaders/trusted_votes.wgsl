// What a model has said of each face so far, and how far it lets the face's votes be trusted:
//   opinion[rows[n], :] = memory * opinion[rows[n], :] + (1 - memory) * scores[n, :]      (logits; kept from step to step)
//   q = softmax(opinion[rows[n], :])
//   trust = sigmoid(odds + evidence * (sum over c of votes[n, c] log q[c] - expected[n]))
//   targets[n, :] = trust * votes[n, :] + (1 - trust) * q
// expected is what the sum would be for a model that knows only how frequent the classes are: the difference is the mutual information of the face and its votes.
//
// scores, votes (rows of sum 1) [batch, classes]; expected [batch]; rows u32 [batch], all different; opinion [count, classes]; targets [batch, classes]
// One face a thread: classes are few, so that a row stays in cache.

struct Params {
  batch: u32,
  classes: u32,
  memory: f32,
  odds: f32,
  evidence: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> votes: array<f32>;
@group(0) @binding(3) var<storage, read> expected: array<f32>;
@group(0) @binding(4) var<storage, read> rows: array<u32>;
@group(0) @binding(5) var<storage, read_write> opinion: array<f32>;
@group(0) @binding(6) var<storage, read_write> targets: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let face = thread.x;
  if (face >= params.batch) {
    return;
  }
  let classes = params.classes;
  let start = face * classes;
  let own = rows[face] * classes;
  var largest = -3.4e38;
  for (var c = 0u; c < classes; c++) {
    let said = mix(scores[start + c], opinion[own + c], params.memory);
    opinion[own + c] = said;
    largest = max(largest, said);
  }
  var sum = 0.0;
  var agreed = 0.0;
  for (var c = 0u; c < classes; c++) {
    let said = opinion[own + c] - largest;
    sum += exp(said);
    agreed += votes[start + c] * said;
  }
  let trust = 1.0 / (1.0 + exp(-params.odds - params.evidence * (agreed - log(sum) - expected[face])));
  for (var c = 0u; c < classes; c++) {
    targets[start + c] = mix(exp(opinion[own + c] - largest) / sum, votes[start + c], trust);
  }
}
