// Kernels over [rows, 4 * columns] that reduce over the rows. A workgroup takes a block of up to `block` columns of some of the rows: thread
// i · block + c has column c of the block. SHARED, the threads of a column are lanes that divide one part of the rows among them, and exchange what they find
// in workgroup memory; else each has a part of its own, and no thread waits for another: software adapters run code with barriers far slower.

const THREADS: u32 = 64u;
const SHARED: bool = true;

var<workgroup> first_values: array<vec4f, THREADS>;
var<workgroup> second_values: array<vec4f, THREADS>;

struct Place {
  column: u32,
  part: u32, // of the rows
  lane: u32, // NO_LANE for threads without work, which must reach the barriers all the same
  lanes: u32,
}

const NO_LANE = 0x40000000u;

fn place_of(group: u32, thread: u32, columns: u32, block: u32) -> Place {
  let blocks = (columns + block - 1u) / block;
  let column = group % blocks * block + thread % block;
  let count = THREADS / block;
  let index = thread / block;
  let works = index < count && column < columns;
  if (SHARED) {
    return Place(min(column, columns - 1u), group / blocks, select(NO_LANE, index, works), count);
  }
  return Place(min(column, columns - 1u), group / blocks * count + index, select(NO_LANE, 0u, works), 1u);
}

// Both sums over the lanes, in their order. Every thread of the workgroup must call it.
fn lane_sums(first: vec4f, second: vec4f, thread: u32, block: u32) -> array<vec4f, 2> {
  if (!SHARED) {
    return array<vec4f, 2>(first, second);
  }
  first_values[thread] = first;
  second_values[thread] = second;
  workgroupBarrier();
  var sums = array<vec4f, 2>();
  for (var at = thread % block; at < THREADS / block * block; at += block) {
    sums[0] += first_values[at];
    sums[1] += second_values[at];
  }
  return sums;
}
