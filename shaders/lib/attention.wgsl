// Attention by tiles: 64 threads take 32 × 32 weights of one head, 4 × 4 each, hand them round in workgroup memory, and each adds weights · values to sums
// that it keeps in registers. Thread (x, y) owns the rows y + 8·i, of the weights the columns x + 8·j, and of the sums the quads x + 8·c: i, j < 4,
// c < CHUNKS. A vec4 of scores or weights is one column of the four rows.
//
// Vectors of any length are read where they lie, quad by quad, in loops that stay loops: tiles of them in workgroup memory would want a barrier for every
// few quads, and a driver that runs a workgroup on one processor core compiles all that is alive across each barrier in the text.

const SIDE = 32u; // rows and columns of a tile
const CHUNK = 8u; // quads of a sum that neighbouring threads own
const CHUNKS: u32 = 2u; // longer sums are shared among workgroups
const PITCH = 9u; // odd, so that neighbours meet different banks

var<workgroup> weight_tile: array<vec4f, SIDE * PITCH>; // [column, y]

// What a workgroup does: a tile of rows of a head, and a part of the sums' quads.
struct Work {
  head: u32,
  row0: u32,
  quad0: u32,
}

// Neighbouring workgroups take neighbouring rows of one head, whose columns are then in a cache.
fn work_of(group: u32, rows: u32, quads: u32) -> Work {
  let row_tiles = (rows + SIDE - 1u) / SIDE;
  let parts = (quads + CHUNKS * CHUNK - 1u) / (CHUNKS * CHUNK);
  return Work(group / (row_tiles * parts), group % row_tiles * SIDE, group / row_tiles % parts * CHUNKS * CHUNK);
}

// The four rows or columns of thread x or y from `first` on; those beyond the end repeat the last.
fn four_of(first: u32, thread: u32, count: u32) -> vec4u {
  return min(first + thread + vec4u(0u, 8u, 16u, 24u), vec4u(count - 1u));
}

fn store_weights(weights: mat4x4f, thread: vec2u) {
  for (var j = 0u; j < 4u; j++) { // unroll
    weight_tile[(thread.x + j * 8u) * PITCH + thread.y] = weights[j];
  }
}
