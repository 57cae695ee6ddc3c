// Noise on every pixel and channel by itself, in grey levels 0…255 and not clipped:
//   GAUSSIAN  output = input + 255 amount n                  n normal (Box & Muller 1958)
//   SHOT      output = 255 / amount · Poisson(amount input / 255)
//   IMPULSE   output = 0 or 255, alike often, with probability `amount`, else input
//   SPECKLE   output = input + input amount n
//
// input, output: [batch, face_size]; numbers: [batch] of the faces, which with the seed decide what is drawn; step: its seed
// A Poisson number is the sum of four of a quarter of the rate, each by inversion from one word of the same Philox call: quarters of up to 64 leave
// exp(-rate) well inside float32. 16 elements a thread, strided by the workgroup (1024 per group).

// #include "lib/step.wgsl"
// #include "lib/normal.wgsl"
// #include "lib/random.wgsl"

const GAUSSIAN: u32 = 0u;
const SHOT: u32 = 1u;
const IMPULSE: u32 = 2u;
const SPECKLE: u32 = 3u;
const KIND: u32 = 0u;

// Beyond any count that a quarter of the rate leads to; ends the inversion where rounding keeps the sum below the draw.
const MOST_COUNT: f32 = 255.0;

struct Params {
  size: u32, // elements of all faces
  face_size: u32,
  stream: u32,
  amount: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> numbers: array<u32>;
@group(0) @binding(3) var<storage, read> step: Step;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

fn poisson(rate: f32, draw: f32) -> f32 {
  var count = 0.0;
  var share = exp(-rate);
  var sum = share;
  while (draw >= sum && count < MOST_COUNT) {
    count += 1.0;
    share *= rate / count;
    sum += share;
  }
  return count;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let face_size = params.face_size;
  let amount = params.amount;
  let first = (workgroup.x + workgroup.y * workgroups.x) * 1024u;
  let end = min(first + 1024u, params.size);
  for (var i = first + thread; i < end; i += 64u) {
    let draw = unit_floats(random_words(step.seed, numbers[i / face_size], params.stream, i % face_size));
    let value = input[i];
    var noisy = value;
    if (KIND == GAUSSIAN) {
      noisy += 255.0 * amount * normal(draw.xy);
    } else if (KIND == SHOT) {
      let rate = value * amount / 1020.0;
      noisy = 255.0 / amount * (poisson(rate, draw.x) + poisson(rate, draw.y) + poisson(rate, draw.z) + poisson(rate, draw.w));
    } else if (KIND == IMPULSE) {
      noisy = select(value, select(255.0, 0.0, draw.y < 0.5), draw.x < amount);
    } else if (KIND == SPECKLE) {
      noisy += value * amount * normal(draw.xy);
    }
    output[i] = noisy;
  }
}
