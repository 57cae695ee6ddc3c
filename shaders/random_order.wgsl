// The tokens of each face in an order drawn at random, by ranking noise (He et al. 2022, "Simple implementation"):
//   place[n, t] = how many tokens of the face have less noise than t,   order[n, place[n, t]] = t
// The noise is a function of (seed, epoch, stream, indices[n], t): a face's order in an epoch is the same whatever the batch, or a resumption.
//
// indices u32 [faces]; order, place u32 [faces, TOKENS]; step: the state of the step
// A face a workgroup, which keeps its noise: every token looks through all of it. Of equal noise the earlier token ranks lower.

// #include "lib/random.wgsl"
// #include "lib/step.wgsl"

const TOKENS: u32 = 64u;

struct Params {
  faces: u32,
  stream: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> order: array<u32>;
@group(0) @binding(4) var<storage, read_write> place: array<u32>;

const QUADS: u32 = (TOKENS + 3u) / 4u;
var<workgroup> noise: array<vec4u, QUADS>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let entry = workgroup.x + workgroup.y * workgroups.x;
  let face = indices[min(entry, params.faces - 1u)];
  for (var quad = thread; quad < QUADS; quad += 64u) {
    noise[quad] = random_words(step.seed, step.epoch, params.stream, face * QUADS + quad);
  }
  workgroupBarrier();
  if (entry >= params.faces) {
    return;
  }
  for (var token = thread; token < TOKENS; token += 64u) {
    let own = noise[token / 4u][token % 4u];
    var rank = 0u;
    for (var other = 0u; other < TOKENS; other++) {
      let theirs = noise[other / 4u][other % 4u];
      rank += select(0u, 1u, theirs < own || (theirs == own && other < token));
    }
    place[entry * TOKENS + token] = rank;
    order[entry * TOKENS + rank] = token;
  }
}
