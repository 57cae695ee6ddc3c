// Each pixel as a weighted sum of others: blurs, zooms and rotations are all lists of taps (dx, dy, shrink, weight).
//   output(p) = Σ weight · input(centre + shrink T (p - centre) + S (dx, dy))
// T turns by `turn` one way or the other, S by an angle uniform in -sweep…sweep, both drawn for each face. Between pixel centres `input` is bilinear,
// at them exact; beyond its borders it is reflected: … b a | a b c … z | z y …
//
// input, output: [batch, height, width, CHANNELS]; taps: [taps]; numbers: [batch] of the faces; step: its seed
// A workgroup covers 1024 pixels of one face, 16 per thread, which pays for drawing the angles in every thread.

// #include "lib/step.wgsl"
// #include "lib/random.wgsl"

const CHANNELS: u32 = 1u;
const PIXELS_PER_GROUP: u32 = 1024u;

struct Params {
  batch: u32,
  height: u32,
  width: u32,
  taps: u32,
  stream: u32,
  turn: f32,  // radians
  sweep: f32, // radians
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> taps: array<vec4f>;
@group(0) @binding(3) var<storage, read> numbers: array<u32>;
@group(0) @binding(4) var<storage, read> step: Step;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

fn rotation(angle: f32) -> mat2x2f {
  return mat2x2f(cos(angle), sin(angle), -sin(angle), cos(angle));
}

// Folds a coordinate into 0…extent, as between two facing mirrors.
fn fold(at: vec2f, extent: vec2f) -> vec2f {
  return extent - abs(at - 2.0 * extent * floor(at / (2.0 * extent)) - extent);
}

fn pixel(index: u32) -> vec3f {
  if (CHANNELS == 1u) {
    return vec3f(input[index]);
  }
  return vec3f(input[3u * index], input[3u * index + 1u], input[3u * index + 2u]);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let width = params.width;
  let pixels = params.height * width;
  let groups_per_face = (pixels + PIXELS_PER_GROUP - 1u) / PIXELS_PER_GROUP;
  let group = workgroup.x + workgroup.y * workgroups.x;
  let entry = group / groups_per_face;
  if (entry >= params.batch) {
    return;
  }
  let extent = vec2f(f32(width), f32(params.height));
  let centre = 0.5 * extent;
  let draw = unit_floats(random_words(step.seed, numbers[entry], params.stream, 0u));
  let turn = rotation(select(-params.turn, params.turn, draw.x < 0.5));
  let sweep = rotation(params.sweep * (2.0 * draw.y - 1.0));
  let base = entry * pixels;
  let first = group % groups_per_face * PIXELS_PER_GROUP;
  let end = min(first + PIXELS_PER_GROUP, pixels);
  for (var i = first + thread; i < end; i += 64u) {
    let offset = turn * (vec2f(f32(i % width), f32(i / width)) + 0.5 - centre);
    var sum = vec3f();
    for (var t = 0u; t < params.taps; t++) {
      let tap = taps[t];
      let at = fold(centre + tap.z * offset + sweep * tap.xy, extent) - 0.5;
      let near = floor(at);
      let share = at - near;
      let low = vec2u(max(near, vec2f()));
      let above = base + low.y * width;
      if (all(share == vec2f())) { // on a pixel: a quarter of the reading
        sum += tap.w * pixel(above + low.x);
        continue;
      }
      let high = vec2u(min(near + 1.0, extent - 1.0));
      let below = base + high.y * width;
      sum += tap.w * mix(
        mix(pixel(above + low.x), pixel(above + high.x), share.x),
        mix(pixel(below + low.x), pixel(below + high.x), share.x),
        share.y,
      );
    }
    let place = (base + i) * CHANNELS;
    output[place] = sum.x;
    if (CHANNELS == 3u) {
      output[place + 1u] = sum.y;
      output[place + 2u] = sum.z;
    }
  }
}
