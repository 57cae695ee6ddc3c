// Rows of numbers shared among LANES threads of a workgroup of 64: one thread a row where rows are short, all 64 where they are long.
// Lane by lane a row's elements are lane, lane + LANES, …; the lanes meet in a tree of fixed order.

const LANES: u32 = 1u; // a power of two up to 64

struct Row {
  lane: u32,
  start: u32,
  end: u32, // = start where there is no such row: threads without work must reach the barriers all the same
}

fn row_of(group: u32, thread: u32, rows: u32, length: u32) -> Row {
  let row = group * (64u / LANES) + thread / LANES;
  let start = row * length;
  return Row(thread % LANES, start, select(start, start + length, row < rows));
}

var<workgroup> shared_values: array<f32, 64>;

fn row_sum(value: f32, thread: u32) -> f32 {
  if (LANES == 1u) {
    return value;
  }
  workgroupBarrier(); // the values of an earlier sum have been read
  shared_values[thread] = value;
  for (var width = LANES / 2u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (thread % LANES < width) {
      shared_values[thread] += shared_values[thread + width];
    }
  }
  workgroupBarrier();
  return shared_values[thread - thread % LANES];
}

// NaN may be lost here; what is computed from the maximum and the row itself has it still.
fn row_max(value: f32, thread: u32) -> f32 {
  if (LANES == 1u) {
    return value;
  }
  workgroupBarrier();
  shared_values[thread] = value;
  for (var width = LANES / 2u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (thread % LANES < width) {
      shared_values[thread] = max(shared_values[thread], shared_values[thread + width]);
    }
  }
  workgroupBarrier();
  return shared_values[thread - thread % LANES];
}
