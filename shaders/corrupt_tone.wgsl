// Light and contrast of whole faces, in grey levels 0…255 and not clipped:
//   BRIGHTNESS  the largest channel V (of HSV) becomes min(V + 255 amount, 255), the others keep their ratio to it
//   CONTRAST    output = (input - mean) amount + mean, the mean of the channel over the face
//   DARKNESS    output = 255 (input / 255)^amount
//
// input, output: [batch, pixels, CHANNELS]
// A workgroup has a face, whose mean it needs: each thread sums every 64th pixel, then the sums are added up in a tree.

const BRIGHTNESS: u32 = 0u;
const CONTRAST: u32 = 1u;
const DARKNESS: u32 = 2u;
const KIND: u32 = 0u;
const CHANNELS: u32 = 1u;

struct Params {
  batch: u32,
  pixels: u32, // of a face
  amount: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

var<workgroup> sums: array<vec3f, 64>;

fn pixel(index: u32) -> vec3f {
  if (CHANNELS == 1u) {
    return vec3f(input[index]);
  }
  return vec3f(input[3u * index], input[3u * index + 1u], input[3u * index + 2u]);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let face = workgroup.x + workgroup.y * workgroups.x;
  let known = face < params.batch;
  let first = face * params.pixels;
  let end = select(first, first + params.pixels, known);
  let amount = params.amount;
  var mean = vec3f();
  if (KIND == CONTRAST) {
    var sum = vec3f();
    for (var i = first + thread; i < end; i += 64u) {
      sum += pixel(i);
    }
    sums[thread] = sum;
    for (var half = 32u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (thread < half) {
        sums[thread] += sums[thread + half];
      }
    }
    workgroupBarrier();
    mean = sums[0] / f32(params.pixels);
  }
  for (var i = first + thread; i < end; i += 64u) {
    var colour = pixel(i);
    if (KIND == BRIGHTNESS) {
      let top = max(colour.x, max(colour.y, colour.z));
      let raised = min(top + 255.0 * amount, 255.0);
      colour = select(vec3f(raised), colour * (raised / max(top, 1e-6)), top > 0.0);
    } else if (KIND == CONTRAST) {
      colour = (colour - mean) * amount + mean;
    } else if (KIND == DARKNESS) {
      colour = 255.0 * pow(colour / 255.0, vec3f(amount));
    }
    let place = i * CHANNELS;
    output[place] = colour.x;
    if (CHANNELS == 3u) {
      output[place + 1u] = colour.y;
      output[place + 2u] = colour.z;
    }
  }
}
