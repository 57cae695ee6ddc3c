// Elementwise kernels read and write any tensor as vec4: tensors are bound rounded up to 16 bytes. A workgroup of 64 covers 2048 elements, a thread
// 8 vec4 strided by the workgroup, which is what software adapters are fastest with and what a GPU loads in whole cache lines.

const QUADS_PER_GROUP: u32 = 512u;

// The vec4 [x, y) of a group, of a tensor of `size` elements.
fn quads_of(group: u32, size: u32) -> vec2u {
  let first = group * QUADS_PER_GROUP;
  return vec2u(first, min(first + QUADS_PER_GROUP, (size + 3u) / 4u));
}

// Zero beyond the last element: what lies there is read again by kernels that run over all parameters at once.
fn trim(quad: vec4f, index: u32, size: u32) -> vec4f {
  return select(vec4f(), quad, 4u * index + vec4u(0u, 1u, 2u, 3u) < vec4u(size));
}
