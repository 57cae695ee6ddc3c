// Batch of normalised faces from 8-bit pixels that stay on the device, each under its own random affine view:
//   output[b, y, x] = ((sample(R K S F (p - centre) + shift) / 255 - mean) * contrast + brightness) / deviation
// with p = (x + 1/2, y + 1/2), the centre of the output, rotation R, skew K, scale S and mirror F. That point, scaled by source extent /
// output extent about the source's centre, is where the source is sampled bilinearly. Beyond its borders it is reflected:
// … b a | a b c … z | z y …
// A rectangle may be erased: set to 0. What is drawn depends on (seed, epoch, stream, face) only, so a face's view in an epoch is the
// same whatever the order, the batch, or a resumption.
// Without AUGMENT: the plain face, resized where the extents differ.
//
// faces0…3: bytes [face, y, x, channel] in little-endian words, split after every faces_per_part faces; parts beyond PARTS are not read.
// indices: [batch] numbers of faces; one out of range makes a batch entry of NaN. statistics: (mean, deviation) of the pixels in 0…1, for
// all faces (statistics_stride 0) or each (1). output: [batch, output_height, output_width, OUTPUT_CHANNELS].
// STREAMED: faces0 holds only the batch, entry by entry, and so do the statistics; the indices still decide how each face is seen.
// One channel to three repeats it, three to one takes the luma of ITU-R BT.601.
// A workgroup covers PIXELS_PER_GROUP pixels of one face: the more a thread has of them, the less it counts that each thread draws the view.

// #include "lib/step.wgsl"
// #include "lib/random.wgsl"

const AUGMENT: bool = true;
const SOURCE_CHANNELS: u32 = 1u;
const OUTPUT_CHANNELS: u32 = 1u;
const PARTS: u32 = 1u;
const STREAMED: bool = false;

const PIXELS_PER_GROUP: u32 = 1024u;
const LUMA: vec3f = vec3f(0.299, 0.587, 0.114);
const NAN_BITS: u32 = 0x7fc00000u;
// An erased rectangle is at most so many times as high as wide, or as wide as high.
const ERASING_ASPECT_LOG2: f32 = 1.7369656; // log2(10 / 3)

struct Params {
  batch: u32,
  face_count: u32,
  faces_per_part: u32,
  source_height: u32,
  source_width: u32,
  output_height: u32,
  output_width: u32,
  statistics_stride: u32,
  stream: u32,
  flip: f32,           // probability
  shift: f32,          // share of the output's extent
  scale_log2: f32,
  rotation: f32,       // radians
  skew: f32,
  crop_least: f32,     // least share of the area that is seen, 1: no crop
  crop_aspect_log2: f32,
  erasing: f32,        // probability
  erasing_least: f32,  // share of the output's area
  erasing_most: f32,
  brightness: f32,     // in pixels of 0…1
  contrast: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> faces0: array<u32>;
@group(0) @binding(2) var<storage, read> faces1: array<u32>;
@group(0) @binding(3) var<storage, read> faces2: array<u32>;
@group(0) @binding(4) var<storage, read> faces3: array<u32>;
@group(0) @binding(5) var<storage, read> indices: array<u32>;
@group(0) @binding(6) var<storage, read> statistics: array<vec2f>;
@group(0) @binding(7) var<storage, read> step: Step;
@group(0) @binding(8) var<storage, read_write> output: array<f32>;

fn draw(face: u32, block: u32) -> vec4f {
  return unit_floats(random_words(step.seed, step.epoch, params.stream, 4u * face + block));
}

// How one face is seen.
struct View {
  right: vec2f,     // source pixels per step to the right in the output
  down: vec2f,      // source pixels per step down
  shift: vec2f,     // source pixels
  erased: vec4u,    // left, top, right, bottom; empty where left = right
  contrast: f32,
  brightness: f32,
}

fn draw_view(face: u32) -> View {
  let extent = vec2f(f32(params.output_width), f32(params.output_height));
  let ratio = vec2f(f32(params.source_width), f32(params.source_height)) / extent;
  if (!AUGMENT) {
    return View(vec2f(ratio.x, 0.0), vec2f(0.0, ratio.y), vec2f(), vec4u(), 1.0, 0.0);
  }
  let a = draw(face, 0u);
  let b = draw(face, 1u) * 2.0 - 1.0;
  let c = draw(face, 2u);
  let d = draw(face, 3u);
  let mirror = select(1.0, -1.0, a.x < params.flip);
  let angle = params.rotation * (2.0 * a.y - 1.0);
  let skew = params.skew * (2.0 * a.zw - 1.0);
  // A crop is a scale for which there is room, and a shift within what it leaves out. Of its two draws the first is the area.
  let crop_area = 1.0 - (1.0 - params.crop_least) * (0.5 * b.z + 0.5);
  let crop_aspect = exp2(params.crop_aspect_log2 * b.w);
  let crop = select(vec2f(1.0), min(sqrt(crop_area * vec2f(crop_aspect, 1.0 / crop_aspect)), vec2f(1.0)), params.crop_least < 1.0);
  let shift = (params.shift + 0.5 * (1.0 - crop)) * b.xy * extent;
  let scale = exp2(params.scale_log2 * b.zw) * crop;
  let rotation = mat2x2f(cos(angle), sin(angle), -sin(angle), cos(angle));

  let area = extent.x * extent.y * mix(params.erasing_least, params.erasing_most, c.y);
  let aspect = exp2(ERASING_ASPECT_LOG2 * (2.0 * c.z - 1.0));
  let size = min(floor(sqrt(vec2f(area / aspect, area * aspect)) + 0.5), extent);
  let corner = floor(d.xy * (extent - size + 1.0));
  return View(
    ratio * (rotation * (vec2f(1.0, skew.y) * (scale.x * mirror))),
    ratio * (rotation * (vec2f(skew.x, 1.0) * scale.y)),
    ratio * shift,
    select(vec4u(), vec4u(vec4f(corner, corner + size)), c.x < params.erasing),
    1.0 + params.contrast * (2.0 * d.z - 1.0),
    params.brightness * (2.0 * d.w - 1.0),
  );
}

fn word(part: u32, index: u32) -> u32 {
  if (PARTS > 1u && part == 1u) {
    return faces1[index];
  }
  if (PARTS > 2u && part == 2u) {
    return faces2[index];
  }
  if (PARTS > 3u && part == 3u) {
    return faces3[index];
  }
  return faces0[index];
}

fn byte(part: u32, index: u32) -> f32 {
  return f32(extractBits(word(part, index / 4u), index % 4u * 8u, 8u));
}

// The colour of the pixel whose first byte is `index`; grey stands in all three places.
fn pixel(part: u32, index: u32) -> vec3f {
  let first = byte(part, index);
  if (SOURCE_CHANNELS == 1u) {
    return vec3f(first);
  }
  return vec3f(first, byte(part, index + 1u), byte(part, index + 2u));
}

// Folds a coordinate into 0…extent, as between two facing mirrors.
fn fold(at: vec2f, extent: vec2f) -> vec2f {
  return extent - abs(at - 2.0 * extent * floor(at / (2.0 * extent)) - extent);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let group = workgroup.x + workgroup.y * workgroups.x;
  let width = params.output_width;
  let pixels = params.output_height * width;
  let groups_per_face = (pixels + PIXELS_PER_GROUP - 1u) / PIXELS_PER_GROUP;
  let entry = group / groups_per_face;
  if (entry >= params.batch) {
    return;
  }
  let face = indices[entry];
  let slot = select(face, entry, STREAMED); // where its pixels are
  let known = slot < params.face_count;
  let view = draw_view(face);
  let source_width = params.source_width;
  let source = vec2f(f32(source_width), f32(params.source_height));
  let output_centre = 0.5 * vec2f(f32(width), f32(params.output_height));
  let source_centre = 0.5 * source + view.shift;
  let part = select(0u, slot / params.faces_per_part, PARTS > 1u);
  let base = (slot - part * params.faces_per_part) * params.source_height * source_width * SOURCE_CHANNELS;
  let normal = statistics[select(0u, slot * params.statistics_stride, known)];
  let gain = view.contrast / (255.0 * normal.y);
  let bias = (view.brightness - view.contrast * normal.x) / normal.y;

  let first = group % groups_per_face * PIXELS_PER_GROUP + thread;
  let end = min(first - thread + PIXELS_PER_GROUP, pixels);
  var x = first % width;
  var y = first / width;
  for (var i = first; i < end; i += 64u) {
    let offset = vec2f(f32(x), f32(y)) + 0.5 - output_centre;
    let at = fold(view.right * offset.x + view.down * offset.y + source_centre, source) - 0.5;
    let near = floor(at);
    let share = at - near;
    let low = vec2u(max(near, vec2f()));
    let high = vec2u(min(near + 1.0, source - 1.0));
    let above = base + low.y * source_width * SOURCE_CHANNELS;
    let below = base + high.y * source_width * SOURCE_CHANNELS;
    let left = low.x * SOURCE_CHANNELS;
    let right = high.x * SOURCE_CHANNELS;
    let colour = mix(
      mix(pixel(part, above + left), pixel(part, above + right), share.x),
      mix(pixel(part, below + left), pixel(part, below + right), share.x),
      share.y,
    );
    let erased = x >= view.erased.x && x < view.erased.z && y >= view.erased.y && y < view.erased.w;
    var value = select(colour * gain + bias, vec3f(), erased);
    value = select(vec3f(bitcast<f32>(NAN_BITS | entry)), value, known);
    let place = entry * pixels + i;
    if (OUTPUT_CHANNELS == 3u) {
      output[place * 3u] = value.x;
      output[place * 3u + 1u] = value.y;
      output[place * 3u + 2u] = value.z;
    } else if (SOURCE_CHANNELS == 3u) {
      output[place] = dot(value, LUMA);
    } else {
      output[place] = value.x;
    }
    x += 64u % width;
    y += 64u / width;
    if (x >= width) {
      x -= width;
      y += 1u;
    }
  }
}
