// A product of tiles held in workgroup memory: a workgroup computes TILE_M × TILE_N sums, TILE_K terms at a time. All its threads load a tile of each side
// from storage, each number once, in vec4 along the axis on which the tensor is contiguous, and each thread multiplies THREAD_M × THREAD_N of the sums in
// registers. While one pair of tiles is multiplied, the next is on its way in a_next and b_next.
//
// A shader that includes this declares A_ALONG_K and B_ALONG_K, fills a_next and b_next for the places that a_place and b_place name, and alternates:
// barrier, store_tiles, barrier, load the next, multiply_tiles. TILE_M · TILE_K / 4 and TILE_N · TILE_K / 4 are multiples of the number of threads.

const TILE_M: u32 = 64u;
const TILE_N: u32 = 64u;
const TILE_K: u32 = 16u;
const THREAD_M: u32 = 8u; // a multiple of 4
const THREAD_N: u32 = 8u; // a multiple of 4

const ROW_THREADS = TILE_M / THREAD_M;
const COLUMN_THREADS = TILE_N / THREAD_N;
const THREADS = ROW_THREADS * COLUMN_THREADS;
const M_QUADS = TILE_M / 4u;
const N_QUADS = TILE_N / 4u;
const K_QUADS = TILE_K / 4u;
const A_LOADS = TILE_M * K_QUADS / THREADS; // vec4 that a thread loads for one tile
const B_LOADS = TILE_N * K_QUADS / THREADS;
const THREAD_QUADS = THREAD_N / 4u;

// A side that is contiguous along K is kept in rows along K, one vec4 longer than their content, and the row 4·q + i as row i·QUADS + q: so threads that read
// neighbouring q meet different banks. Any other side is kept in rows along M or N.
const ROW = K_QUADS + 1u;
var<workgroup> a_tile: array<vec4f, TILE_M * ROW>;
var<workgroup> b_tile: array<vec4f, TILE_N * ROW>;

var<private> a_next: array<vec4f, A_LOADS>;
var<private> b_next: array<vec4f, B_LOADS>;
// Sums of row 4·r + i and column quad q of this thread at (4·r + i) · THREAD_QUADS + q.
var<private> sums: array<vec4f, THREAD_M * THREAD_QUADS>;

// Row and k, within the tile, of the vec4 that thread `local` loads as its j-th. The k along K, or the row along M, is the same for all j.
fn a_place(j: u32, local: u32) -> vec2u {
  let item = j * THREADS + local;
  if (A_ALONG_K) {
    return vec2u(item / K_QUADS, item % K_QUADS * 4u);
  }
  return vec2u(item % M_QUADS * 4u, item / M_QUADS);
}

// Column and k likewise.
fn b_place(j: u32, local: u32) -> vec2u {
  let item = j * THREADS + local;
  if (B_ALONG_K) {
    return vec2u(item / K_QUADS, item % K_QUADS * 4u);
  }
  return vec2u(item % N_QUADS * 4u, item / N_QUADS);
}

fn store_tiles(local: u32) {
  for (var j = 0u; j < A_LOADS; j++) { // unroll
    let place = a_place(j, local);
    let along_k = (place.x % 4u * M_QUADS + place.x / 4u) * ROW + place.y / 4u;
    a_tile[select(place.y * M_QUADS + place.x / 4u, along_k, A_ALONG_K)] = a_next[j];
  }
  for (var j = 0u; j < B_LOADS; j++) { // unroll
    let place = b_place(j, local);
    let along_k = (place.x % 4u * N_QUADS + place.x / 4u) * ROW + place.y / 4u;
    b_tile[select(place.y * N_QUADS + place.x / 4u, along_k, B_ALONG_K)] = b_next[j];
  }
}

// Four rows, from 4 · quad, of four k: column i of the matrix holds the rows' values at k + i.
fn a_block(quad: u32, k: u32) -> mat4x4f {
  let along_k = quad * ROW + k / 4u;
  let first = select(k * M_QUADS + quad, along_k, A_ALONG_K);
  let step = select(M_QUADS, M_QUADS * ROW, A_ALONG_K);
  let block = mat4x4f(a_tile[first], a_tile[first + step], a_tile[first + 2u * step], a_tile[first + 3u * step]);
  if (A_ALONG_K) {
    return transpose(block);
  }
  return block;
}

// Four columns of four k likewise.
fn b_block(quad: u32, k: u32) -> mat4x4f {
  let along_k = quad * ROW + k / 4u;
  let first = select(k * N_QUADS + quad, along_k, B_ALONG_K);
  let step = select(N_QUADS, N_QUADS * ROW, B_ALONG_K);
  let block = mat4x4f(b_tile[first], b_tile[first + step], b_tile[first + 2u * step], b_tile[first + 3u * step]);
  if (B_ALONG_K) {
    return transpose(block);
  }
  return block;
}

fn multiply_tiles(local: u32) {
  let row_thread = local / COLUMN_THREADS;
  let column_thread = local % COLUMN_THREADS;
  for (var k = 0u; k < TILE_K; k += 4u) {
    var columns: array<mat4x4f, THREAD_QUADS>;
    for (var q = 0u; q < THREAD_QUADS; q++) { // unroll
      columns[q] = b_block(q * COLUMN_THREADS + column_thread, k);
    }
    for (var r = 0u; r < THREAD_M; r += 4u) { // unroll
      let rows = a_block(r / 4u * ROW_THREADS + row_thread, k);
      for (var i = 0u; i < 4u; i++) { // unroll
        for (var row = 0u; row < 4u; row++) { // unroll
          for (var q = 0u; q < THREAD_QUADS; q++) { // unroll
            sums[(r + row) * THREAD_QUADS + q] += rows[i][row] * columns[q][i];
          }
        }
      }
    }
  }
}

// Row within the tile of this thread's row r, and column quad within the tile of its quad q: neighbouring threads store neighbouring vec4.
fn tile_row(r: u32, local: u32) -> u32 {
  return (r / 4u * ROW_THREADS + local / COLUMN_THREADS) * 4u + r % 4u;
}

fn tile_quad(q: u32, local: u32) -> u32 {
  return q * COLUMN_THREADS + local % COLUMN_THREADS;
}
