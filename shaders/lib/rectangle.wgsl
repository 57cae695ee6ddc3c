// The outputs of a convolution, along one axis, for which a tap of its kernel falls inside the input: a range [first, end).

// The least output place ≥ 0 whose input place is not negative.
fn first_inside(shift: i32, stride: u32) -> u32 {
  return (u32(max(-shift, 0)) + stride - 1u) / stride;
}

// One more than the greatest output place below `output_size` whose input place is below `size`; 0 where there is none.
fn end_inside(shift: i32, stride: u32, size: u32, output_size: u32) -> u32 {
  let room = i32(size) - shift; // output place · stride < room
  return min((u32(max(room, 0)) + stride - 1u) / stride, output_size);
}
