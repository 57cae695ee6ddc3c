// Fewer, larger pixels: output = mean of the input over the cell of cells_x × cells_y that the pixel's centre lies in. A cell holds whole pixels, those
// whose centres lie in it, from round(j extent / cells) to round((j + 1) extent / cells): shrinking and enlarging with a box filter.
//
// input, output: [batch, height, width, channels]
// 16 elements a thread, strided by the workgroup (1024 per group). Cells are small, so that each thread reads its own.

struct Params {
  size: u32, // elements of all faces
  height: u32,
  width: u32,
  channels: u32,
  cells_y: u32,
  cells_x: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

// First pixel of cell j of `cells` over `extent` pixels, rounded half up in whole numbers.
fn cell_start(j: u32, extent: u32, cells: u32) -> u32 {
  return (2u * j * extent + cells) / (2u * cells);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let height = params.height;
  let width = params.width;
  let channels = params.channels;
  let first = (workgroup.x + workgroup.y * workgroups.x) * 1024u;
  let end = min(first + 1024u, params.size);
  for (var i = first + thread; i < end; i += 64u) {
    let channel = i % channels;
    let x = i / channels % width;
    let y = i / (channels * width) % height;
    let base = i / (channels * width * height) * height;
    let column = (2u * x + 1u) * params.cells_x / (2u * width);
    let row = (2u * y + 1u) * params.cells_y / (2u * height);
    let left = cell_start(column, width, params.cells_x);
    let right = cell_start(column + 1u, width, params.cells_x);
    let top = cell_start(row, height, params.cells_y);
    let bottom = cell_start(row + 1u, height, params.cells_y);
    var sum = 0.0;
    for (var v = top; v < bottom; v++) {
      for (var u = left; u < right; u++) {
        sum += input[((base + v) * width + u) * channels + channel];
      }
    }
    output[i] = sum / f32((right - left) * (bottom - top));
  }
}
