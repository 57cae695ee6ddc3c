// Loads for the left side of a product that is a convolution: row m holds, for each tap of the kernel, the channels of the pixel that the tap meets when the
// kernel lies at pixel m. The matrix is never written down. Each thread walks along its k, one tile at a time, for the pixels that it loads.

// The first tap's image and place in it, by load. Negative places wrap round and fail the comparison.
var<private> image: array<u32, A_LOADS>;
var<private> top: array<u32, A_LOADS>;
var<private> left: array<u32, A_LOADS>;
// This thread's k, taken apart.
var<private> channel: u32;
var<private> tap_x: u32;
var<private> tap_y: u32;

// Moves on by so many k.
fn walk(step: u32, channels: u32, taps_x: u32) {
  channel += step;
  while (channel >= channels) {
    channel -= channels;
    tap_x++;
    if (tap_x == taps_x) {
      tap_x = 0u;
      tap_y++;
    }
  }
}

// Where load j finds its four channels in an image [.., height, width, channels], in vec4; NOWHERE outside. From tap to tap the place moves by `hop`.
const NOWHERE = 0xffffffffu;
fn patch_at(j: u32, taps_y: u32, hop: vec2u, height: u32, width: u32, channels: u32) -> u32 {
  let y = top[j] + tap_y * hop.y;
  let x = left[j] + tap_x * hop.x;
  let inside = tap_y < taps_y && y < height && x < width;
  return select(NOWHERE, ((image[j] + y) * width + x) * (channels / 4u) + channel / 4u, inside);
}
