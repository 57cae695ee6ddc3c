// max(0, value), but NaN stays NaN: a comparison of floats may become a maximum in the driver, which hides it. The bit patterns from
// 0x80000001 to 0xff800000 are the negative numbers and -infinity.
fn rectify(value: vec4f) -> vec4f {
  let negative = bitcast<vec4u>(value) - 0x80000001u < vec4u(0x7f800000u);
  return select(value, vec4f(), negative);
}
