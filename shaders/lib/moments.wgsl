// Count, mean and sum of squared deviations from it, of four channels, merged pair by pair (Chan, Golub & LeVeque 1983, equation 2.1): nothing cancels,
// however far the means lie from one another. They are taken as distances to some value among them, so that a mean far from zero is rounded once.

// #include "lib/column_blocks.wgsl"

struct Moments {
  count: f32,
  mean: vec4f,
  squares: vec4f,
}

fn merged(a: Moments, b: Moments) -> Moments {
  let count = a.count + b.count;
  let share = b.count / max(count, 1.0);
  let distance = b.mean - a.mean;
  return Moments(count, a.mean + share * distance, a.squares + b.squares + a.count * share * distance * distance);
}

var<workgroup> lane_counts: array<f32, THREADS>;

// Of all lanes, merged in their order. Every thread of the workgroup must call it.
fn merged_lanes(own: Moments, thread: u32, block: u32) -> Moments {
  if (!SHARED) {
    return own;
  }
  lane_counts[thread] = own.count;
  first_values[thread] = own.mean;
  second_values[thread] = own.squares;
  workgroupBarrier();
  var all = Moments();
  for (var at = thread % block; at < THREADS / block * block; at += block) {
    all = merged(all, Moments(lane_counts[at], first_values[at], second_values[at]));
  }
  return all;
}
