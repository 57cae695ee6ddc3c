// A number from the standard normal distribution, of two that are uniform in [0, 1) (Box & Muller 1958).
fn normal(draw: vec2f) -> f32 {
  return sqrt(-2.0 * log(1.0 - draw.x)) * cos(3.14159265 * (2.0 * draw.y - 1.0));
}
