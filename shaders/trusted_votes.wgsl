// What the votes of each face are taken for, beside what the model says of it, q = softmax(scores):
//   trust = sigmoid(odds + evidence * (sum over c of votes[n, c] log (classes q[c])))
//   targets[n, :] = trust * votes[n, :] q^resolve[n] / sum(votes[n, :] q^resolve[n]) + (1 - trust) * q
//
// scores, votes (rows of sum 1), targets [batch, classes]; resolve [batch]
// One face a thread: classes are few, so that a row stays in cache.

struct Params {
  batch: u32,
  classes: u32,
  odds: f32,
  evidence: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> votes: array<f32>;
@group(0) @binding(3) var<storage, read> resolve: array<f32>;
@group(0) @binding(4) var<storage, read_write> targets: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let face = thread.x;
  if (face >= params.batch) {
    return;
  }
  let classes = params.classes;
  let start = face * classes;
  var largest = -3.4e38;
  var likeliest = -3.4e38; // of what was voted for
  for (var c = 0u; c < classes; c++) {
    let said = scores[start + c];
    largest = max(largest, said);
    likeliest = select(likeliest, max(likeliest, said), votes[start + c] > 0.0);
  }
  var sum = 0.0;
  var agreed = 0.0;
  var kept = 0.0;
  for (var c = 0u; c < classes; c++) {
    let said = scores[start + c];
    sum += exp(said - largest);
    agreed += votes[start + c] * (said - largest);
    kept += votes[start + c] * exp(min(resolve[face] * (said - likeliest), 0.0));
  }
  let trust = 1.0 / (1.0 + exp(-params.odds - params.evidence * (agreed - log(sum) + log(f32(classes)))));
  for (var c = 0u; c < classes; c++) {
    let said = scores[start + c];
    let meant = votes[start + c] * exp(min(resolve[face] * (said - likeliest), 0.0)) / kept;
    targets[start + c] = mix(exp(said - largest) / sum, meant, trust);
  }
}
