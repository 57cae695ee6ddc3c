/** Activations in float64, and their derivatives in closed form. */
export const activations = {
  relu: (x: number) => (Number.isNaN(x) ? x : Math.max(x, 0)),
  gelu: (x: number) => 0.5 * x * (1 + Math.tanh(inner(x))),
  silu: (x: number) => x / (1 + Math.exp(-x)),
  sigmoid: (x: number) => 1 / (1 + Math.exp(-x)),
  exponential: Math.exp,
};

export const derivatives = {
  relu: (x: number) => (x <= 0 ? 0 : 1),
  gelu: (x: number) =>
    0.5 * (1 + Math.tanh(inner(x))) + 0.5 * x * (1 - Math.tanh(inner(x)) ** 2) * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x ** 2),
  silu: (x: number) => 1 / (1 + Math.exp(-x)) + (x * Math.exp(-x)) / (1 + Math.exp(-x)) ** 2,
  sigmoid: (x: number) => Math.exp(-x) / (1 + Math.exp(-x)) ** 2,
  exponential: Math.exp,
};

function inner(x: number): number {
  return Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
}
