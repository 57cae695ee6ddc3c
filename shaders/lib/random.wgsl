// Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"): four random words as a pure function
// of a counter and a key. Nothing is stored, so a backward pass draws the numbers of the forward pass again. src/random.ts gives the same words.

fn multiply_high(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let left = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let right = (a & 0xffffu) * (b >> 16u) + (left & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (left >> 16u) + (right >> 16u);
}

fn philox(counter: vec4u, key: vec2u) -> vec4u {
  const FIRST = 0xd2511f53u;
  const SECOND = 0xcd9e8d57u;
  var words = counter;
  var round_key = key;
  for (var round = 0u; round < 10u; round++) {
    words = vec4u(
      multiply_high(SECOND, words.z) ^ words.y ^ round_key.x,
      SECOND * words.z,
      multiply_high(FIRST, words.x) ^ words.w ^ round_key.y,
      FIRST * words.x,
    );
    round_key += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return words;
}

// Four words for one element of one use (`stream`) of randomness in one step. The host keeps its own numbers apart by the counter's last word.
fn random_words(seed: u32, step_index: u32, stream: u32, element: u32) -> vec4u {
  return philox(vec4u(element, step_index, stream, 0u), vec2u(seed, 0u));
}

// Multiples of 2^-24 in [0, 1), which float32 holds exactly.
fn unit_floats(words: vec4u) -> vec4f {
  return vec4f(words >> vec4u(8u)) * 0x1p-24;
}
