// table[(step * batch + n) % count, :] = values[n, :]: the rows of a batch take the place of the oldest in a queue (He et al. 2020, MoCo).
//
// step: the state of the step; values [batch, width]; table [count, width], count at least batch
// 32 elements a thread, strided by the workgroup.

// #include "lib/step.wgsl"

struct Params {
  size: u32, // of values
  batch: u32,
  width: u32,
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read> values: array<f32>;
@group(0) @binding(3) var<storage, read_write> table: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let width = params.width;
  // First the remainder, so that the product stays below 2^32 for however long a run.
  let begin = step.step % params.count * params.batch % params.count;
  let first = (workgroup.x + workgroup.y * workgroups.x) * 2048u;
  let end = min(first + 2048u, params.size);
  for (var i = first + thread; i < end; i += 64u) {
    table[(begin + i / width) % params.count * width + i % width] = values[i];
  }
}
