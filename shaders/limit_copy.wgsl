// How fast a shader moves memory: output[i] = input[i], in vec4.
//
// input   [size]
// output  [size]
//
// Each thread copies four vec4 that lie a workgroup apart, so that neighbouring threads touch neighbouring memory and the cost of starting
// a thread is shared by four.
const VECTORS: u32 = 4u;
const THREADS: u32 = 64u;

struct Params {
  size: u32, // in vec4
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let size = params.size;
  let start = (workgroup_id.x + workgroup_id.y * num_workgroups.x) * THREADS * VECTORS + thread;
  for (var vector = 0u; vector < VECTORS; vector++) {
    let index = start + vector * THREADS;
    if (index < size) {
      output[index] = input[index];
    }
  }
}
