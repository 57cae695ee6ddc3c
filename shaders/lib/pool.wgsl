// The window of a pooling operator over [images, height, width, 4 * columns] and the cells that one thread walks: up to `run` neighbours along x
// of four channels. Output cell o covers the input from o * stride - padding on, `kernel` cells, of which those in the padding do not exist.

struct Params {
  columns: u32,
  images: u32,
  input_height: u32,
  input_width: u32,
  output_height: u32,
  output_width: u32,
  kernel_height: u32,
  kernel_width: u32,
  stride_y: u32,
  stride_x: u32,
  padding_y: u32,
  padding_x: u32,
  run: u32,
}

@group(0) @binding(0) var<uniform> params: Params;

struct Run {
  column: u32,
  image: u32, // from params.images on: no work
  y: u32,
  x_begin: u32,
  x_end: u32,
}

fn run_of(index: u32, height: u32, width: u32) -> Run {
  let runs = (width + params.run - 1u) / params.run;
  let segment = index / params.columns;
  let row = segment / runs;
  let x = segment % runs * params.run;
  return Run(index % params.columns, row / height, row % height, x, min(x + params.run, width));
}

// Input cells [begin, end) along one axis that output cell `o` covers.
fn covered(o: u32, kernel: u32, stride: u32, padding: u32, extent: u32) -> vec2u {
  return vec2u(max(o * stride, padding), min(o * stride + kernel, padding + extent)) - padding;
}

// Output cells [begin, end) along one axis whose windows cover input cell `i`.
fn covering(i: u32, kernel: u32, stride: u32, padding: u32, extent: u32) -> vec2u {
  let place = i + padding;
  return vec2u((max(place + 1u, kernel) - kernel + stride - 1u) / stride, min(place / stride + 1u, extent));
}

// The same for cell i + 1, from that for cell i: both ends move by at most one. Divisions are dear, and a thread walks along x.
fn covering_next(cells: vec2u, i: u32, kernel: u32, stride: u32, padding: u32, extent: u32) -> vec2u {
  let place = i + 1u + padding;
  return vec2u(cells.x + u32(place >= cells.x * stride + kernel), cells.y + u32(place >= cells.y * stride && cells.y < extent));
}
