// The 8-bit value of a grey level: rounded half up, and clipped.
fn grey_level(value: f32) -> u32 {
  return u32(clamp(floor(value + 0.5), 0.0, 255.0));
}
