/** Activations in float64, and their derivatives in closed form. */
export const activations = {
  relu: (x: number) => (Number.isNaN(x) ? x : Math.max(x, 0)),
  gelu: (x: number) => x * normalDistribution(x),
  silu: (x: number) => x / (1 + Math.exp(-x)),
  sigmoid: (x: number) => 1 / (1 + Math.exp(-x)),
  exponential: Math.exp,
};

export const derivatives = {
  relu: (x: number) => (x <= 0 ? 0 : 1),
  gelu: (x: number) => normalDistribution(x) + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI),
  silu: (x: number) => 1 / (1 + Math.exp(-x)) + (x * Math.exp(-x)) / (1 + Math.exp(-x)) ** 2,
  sigmoid: (x: number) => Math.exp(-x) / (1 + Math.exp(-x)) ** 2,
  exponential: Math.exp,
};

/** (1 + erf(x / √2)) / 2 = 1/2 + φ(x) · (x + x³/3 + x⁵/(3·5) + …) (Abramowitz & Stegun 26.2.11); beyond ±9 nothing of a float32 is left of the tail. */
function normalDistribution(x: number): number {
  if (Math.abs(x) > 9) return x > 0 ? 1 : 0;
  let [sum, term] = [0, x];
  for (let n = 3; Math.abs(term) > 1e-18; n += 2) {
    sum += term;
    term *= (x * x) / n;
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}
