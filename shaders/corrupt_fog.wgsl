// Fog: output = (input + 255 amount h) top / (top + 255 amount), top the face's largest value, h from 0 to 1 a random height map.
// The map is a sum of five octaves of value noise: octave k has 2^(k+1) cells a side, bilinear between random corners, with weight decay^-k. It stands for
// the plasma fractal of ImageNet-C, whose steps depend on one another; like that it is stretched to 0…1 over the face.
//
// input, output: [batch, height, width, CHANNELS]; numbers: [batch] of the faces; step: its seed
// A workgroup has a face. Its threads draw the corners into workgroup memory, find the extremes of the map and of the face, and apply both.

// #include "lib/step.wgsl"
// #include "lib/random.wgsl"

const CHANNELS: u32 = 1u;
const OCTAVES: u32 = 5u;
// Σ (2^k + 1)², k = 1 … 5
const CORNERS: u32 = 1493u;

struct Params {
  batch: u32,
  height: u32,
  width: u32,
  stream: u32,
  amount: f32,
  decay: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> numbers: array<u32>;
@group(0) @binding(3) var<storage, read> step: Step;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

var<workgroup> corners: array<f32, CORNERS>;
// Least and greatest height, greatest value.
var<workgroup> extremes: array<vec3f, 64>;

fn height_at(i: u32) -> f32 {
  let at = (vec2f(f32(i % params.width), f32(i / params.width)) + 0.5) / vec2f(f32(params.width), f32(params.height));
  var sum = 0.0;
  var weight = 1.0;
  var base = 0u;
  for (var octave = 1u; octave <= OCTAVES; octave++) {
    let cells = 1u << octave;
    let place = at * f32(cells);
    let cell = min(vec2u(place), vec2u(cells - 1u));
    let share = place - vec2f(cell);
    let corner = base + cell.y * (cells + 1u) + cell.x;
    let above = mix(corners[corner], corners[corner + 1u], share.x);
    let below = mix(corners[corner + cells + 1u], corners[corner + cells + 2u], share.x);
    sum += weight * mix(above, below, share.y);
    weight /= params.decay;
    base += (cells + 1u) * (cells + 1u);
  }
  return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let face = workgroup.x + workgroup.y * workgroups.x;
  let known = face < params.batch;
  let pixels = select(0u, params.height * params.width, known);
  let number = numbers[min(face, params.batch - 1u)];
  for (var block = thread; 4u * block < CORNERS; block += 64u) {
    let draw = unit_floats(random_words(step.seed, number, params.stream, block));
    for (var word = 0u; word < 4u; word++) {
      if (4u * block + word < CORNERS) {
        corners[4u * block + word] = draw[word];
      }
    }
  }
  workgroupBarrier();

  let first = face * pixels * CHANNELS;
  var found = vec3f(1e30, -1e30, 0.0);
  for (var i = thread; i < pixels; i += 64u) {
    let height = height_at(i);
    found = vec3f(min(found.x, height), max(found.y, height), found.z);
    for (var channel = 0u; channel < CHANNELS; channel++) {
      found.z = max(found.z, input[first + i * CHANNELS + channel]);
    }
  }
  extremes[thread] = found;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      let other = extremes[thread + half];
      let mine = extremes[thread];
      extremes[thread] = vec3f(min(mine.x, other.x), max(mine.yz, other.yz));
    }
  }
  workgroupBarrier();
  let extreme = extremes[0];
  let stretch = 1.0 / max(extreme.y - extreme.x, 1e-6);
  let fog = 255.0 * params.amount;
  let gain = extreme.z / (extreme.z + fog);
  for (var i = thread; i < pixels; i += 64u) {
    let added = fog * (height_at(i) - extreme.x) * stretch;
    for (var channel = 0u; channel < CHANNELS; channel++) {
      let place = first + i * CHANNELS + channel;
      output[place] = (input[place] + added) * gain;
    }
  }
}
