// How fast this adapter multiplies and adds: chains x ← x · factor + addend in registers, no memory in the loop.
//
// output  one vec4 per thread, so that no chain can be left out
//
// CHAINS independent vec4 chains per thread (8 numbers) hide the latency of one multiply-add behind the others; on software adapters more of them
// are slower. A thread does iterations · STEPS · CHAINS · 4 multiply-adds.
const CHAINS: u32 = 2u;
const STEPS: u32 = 64u;

struct Params {
  iterations: u32,
  factor: f32, // just below 1, so that no chain overflows
  addend: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let factor = vec4f(params.factor);
  let addend = vec4f(params.addend);
  let iterations = params.iterations;
  var chains: array<vec4f, CHAINS>;
  for (var chain = 0u; chain < CHAINS; chain++) { // unroll
    chains[chain] = vec4f(f32(id.x), f32(chain), 1.0, 2.0);
  }
  for (var i = 0u; i < iterations; i++) {
    for (var step = 0u; step < STEPS; step++) { // unroll
      for (var chain = 0u; chain < CHAINS; chain++) { // unroll
        chains[chain] = fma(chains[chain], factor, addend);
      }
    }
  }
  var sum = vec4f(0.0);
  for (var chain = 0u; chain < CHAINS; chain++) { // unroll
    sum += chains[chain];
  }
  output[id.x] = sum;
}
