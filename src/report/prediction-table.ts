/** What a model says of one image. */
export interface Prediction {
  image: string;
  /** By expression; they sum to 1. */
  probabilities: Record<string, number>;
  /** Of the probabilities, in nats; at most log(number of expressions). */
  entropy: number;
}

const BAR_WIDTH = 30;

/** Probabilities as bars for the terminal, the likeliest expression first. */
export function predictionTable(predictions: readonly Prediction[]): string {
  return predictions
    .map(({ image, probabilities, entropy }) => {
      const sorted = Object.entries(probabilities).sort(([, a], [, b]) => b - a);
      const nameWidth = Math.max(...sorted.map(([name]) => name.length));
      const rows = sorted.map(([name, share]) => {
        const bar = '█'.repeat(Math.round(share * BAR_WIDTH));
        return `  ${name.padEnd(nameWidth)}  ${(100 * share).toFixed(1).padStart(5)} %  ${bar}`.trimEnd();
      });
      return `${image}\n${rows.join('\n')}\n  entropy ${entropy.toFixed(3)} of at most ${Math.log(sorted.length).toFixed(3)} nats\n`;
    })
    .join('\n');
}
