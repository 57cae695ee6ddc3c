/**
 * `(1 − ε)·onehot + ε/C` (Szegedy et al. 2016, eq. 4.1, uniform prior); ε = 0 is the plain one-hot vector.
 * @param label class index; −1 or 255 (no label) gives zeros
 * @returns [classes]
 */
export function oneHot(label: number, classes: number, smoothing = 0): Float32Array {
  const target = new Float32Array(classes);
  if (label < 0 || label >= classes) return target;
  target.fill(smoothing / classes);
  target[label] += 1 - smoothing;
  return target;
}

/** `oneHot` of every label: [count, classes]. */
export function oneHots(labels: ArrayLike<number>, classes: number, smoothing = 0): Float32Array {
  const targets = new Float32Array(labels.length * classes);
  for (let face = 0; face < labels.length; face++) targets.set(oneHot(labels[face], classes, smoothing), face * classes);
  return targets;
}
