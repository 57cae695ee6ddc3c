// The loss of JPEG (ITU-T T.81, annex A.3): blocks of 8 × 8, cosine transform, each coefficient rounded to a multiple of its step, and back. RGB goes
// through Y Cb Cr (JFIF) with the steps of luminance and chrominance, without thinning the latter. At the right and bottom blocks are filled up with the last
// pixel.
//   F = A f Aᵀ,  G = step · round(F / step),  g = Aᵀ G A,  A[u, x] = c(u) / 2 · cos((2x + 1) u π / 16)
//
// input, output: [batch, height, width, CHANNELS]; basis: [8, 8] A; steps: [2, 8, 8] of luminance and chrominance
// A workgroup has a block and a thread a pixel, later a coefficient, of all channels at once.

const CHANNELS: u32 = 1u;

struct Params {
  batch: u32,
  height: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> basis: array<f32>;
@group(0) @binding(3) var<storage, read> steps: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

var<workgroup> tile: array<vec3f, 64>;
var<workgroup> half: array<vec3f, 64>;

fn to_luma(rgb: vec3f) -> vec3f {
  return vec3f(
    dot(rgb, vec3f(0.299, 0.587, 0.114)) - 128.0,
    dot(rgb, vec3f(-0.168735892, -0.331264108, 0.5)),
    dot(rgb, vec3f(0.5, -0.418687589, -0.081312411)),
  );
}

fn to_rgb(luma: vec3f) -> vec3f {
  return 128.0 + luma.x + vec3f(1.402 * luma.z, -0.344136286 * luma.y - 0.714136286 * luma.z, 1.772 * luma.y);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let height = params.height;
  let width = params.width;
  let blocks_x = (width + 7u) / 8u;
  let blocks = blocks_x * ((height + 7u) / 8u);
  let group = workgroup.x + workgroup.y * workgroups.x;
  let face = min(group / blocks, params.batch - 1u);
  let column = thread % 8u;
  let row = thread / 8u;
  let x = group % blocks % blocks_x * 8u + column;
  let y = group % blocks / blocks_x * 8u + row;
  let place = ((face * height + min(y, height - 1u)) * width + min(x, width - 1u)) * CHANNELS;
  if (CHANNELS == 3u) {
    tile[thread] = to_luma(vec3f(input[place], input[place + 1u], input[place + 2u]));
  } else {
    tile[thread] = vec3f(input[place] - 128.0, 0.0, 0.0);
  }
  workgroupBarrier();
  var sum = vec3f();
  for (var k = 0u; k < 8u; k++) {
    sum += basis[8u * column + k] * tile[8u * row + k];
  }
  half[thread] = sum;
  workgroupBarrier();
  sum = vec3f();
  for (var k = 0u; k < 8u; k++) {
    sum += basis[8u * row + k] * half[8u * k + column];
  }
  let step = vec3f(steps[thread], vec2f(steps[64u + thread]));
  tile[thread] = step * round(sum / step);
  workgroupBarrier();
  sum = vec3f();
  for (var k = 0u; k < 8u; k++) {
    sum += basis[8u * k + column] * tile[8u * row + k];
  }
  half[thread] = sum;
  workgroupBarrier();
  sum = vec3f();
  for (var k = 0u; k < 8u; k++) {
    sum += basis[8u * k + row] * half[8u * k + column];
  }
  if (group / blocks < params.batch && x < width && y < height) {
    if (CHANNELS == 3u) {
      let rgb = to_rgb(sum);
      output[place] = rgb.x;
      output[place + 1u] = rgb.y;
      output[place + 2u] = rgb.z;
    } else {
      output[place] = sum.x + 128.0;
    }
  }
}
