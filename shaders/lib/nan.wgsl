// By bit pattern: drivers that assume numbers fold comparisons such as `x != x`, and their maximum hides NaN.

fn is_nan(value: f32) -> bool {
  return (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
}

// The maximum, NaN where either is.
fn larger(a: f32, b: f32) -> f32 {
  return select(select(max(a, b), b, is_nan(b)), a, is_nan(a));
}
