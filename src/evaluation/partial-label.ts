import { plurality } from '../labels/votes.js';

/**
 * Choosing a model by candidate sets alone, where no face has a clean label, as the PLENCH benchmark does (Wang et al. 2025, "Realistic
 * evaluation of deep partial-label learning algorithms"). Rows of `candidates` are masks of zeros and ones.
 */

/** Share of faces whose most probable class is one of their candidates. NaN without faces. */
export function coveringRate(probabilities: readonly ArrayLike<number>[], candidates: readonly ArrayLike<number>[]): number {
  return meanOver(probabilities, (row, face) => candidates[face][plurality(row)]);
}

/**
 * Mean of what the most probable class weighs once the probabilities are confined to the candidates, p_c Y_c / Σ_k p_k Y_k: an estimate of
 * the accuracy that a covering prediction hides. 0 for a face whose most probable class is no candidate.
 */
export function approximatedAccuracy(probabilities: readonly ArrayLike<number>[], candidates: readonly ArrayLike<number>[]): number {
  return meanOver(probabilities, (row, face) => {
    const predicted = plurality(row);
    if (candidates[face][predicted] === 0) return 0;
    let mass = 0;
    for (let c = 0; c < row.length; c++) mass += candidates[face][c] * row[c];
    return row[predicted] / mass;
  });
}

function meanOver(rows: readonly ArrayLike<number>[], of: (row: ArrayLike<number>, face: number) => number): number {
  return rows.reduce((sum, row, face) => sum + of(row, face), 0) / rows.length;
}
