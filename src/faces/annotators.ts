import { drawClass } from '../labels/votes.js';
import { EXPRESSIONS, NO_EXPRESSION } from './expressions.js';

const CLASSES = EXPRESSIONS.length;

/** How many annotators label every face, as in FER+. */
export const ANNOTATORS = 10;

/** What people see (columns) when an expression (rows) is shown, in the order of EXPRESSIONS; every row sums to 1. */
const CONFUSION: readonly (readonly number[])[] = [
  [0.86, 0.02, 0, 0.06, 0.03, 0, 0, 0.03],
  [0.04, 0.92, 0.02, 0, 0, 0, 0, 0.02],
  [0.04, 0.05, 0.8, 0, 0, 0, 0.11, 0],
  [0.14, 0, 0, 0.76, 0.04, 0.03, 0.03, 0],
  [0.06, 0, 0, 0.04, 0.78, 0.09, 0, 0.03],
  [0.03, 0, 0, 0.07, 0.22, 0.62, 0, 0.06],
  [0.04, 0, 0.24, 0.08, 0.02, 0, 0.62, 0],
  [0.24, 0.08, 0, 0, 0.04, 0.06, 0, 0.58],
];

/** Expressions that are confused also blend in one face: entry of CONFUSION. */
export function affinity(shown: number, other: number): number {
  return CONFUSION[shown][other];
}

/**
 * What reliable annotators see in a face: `m·((1−h)·K + h·K²)`, its mixture m through the shared confusion K, once where the face is clear
 * and up to twice where it is hard. A population of annotators with reliability 1 votes so: this is the truth of a generated face.
 * @param mixture [EXPRESSIONS], summing to 1
 * @param difficulty h from 0 to 1
 */
export function perceived(mixture: readonly number[], difficulty: number): number[] {
  const once = confused(mixture);
  const twice = confused(once);
  return once.map((share, index) => (1 - difficulty) * share + difficulty * twice[index]);
}

/** The reliability of an annotator: 1 − it is the share of votes given blindly. @param u uniform in [0, 1) */
export function reliability(u: number): number {
  return 1 - 0.25 * u;
}

/**
 * One vote, an index into EXPRESSIONS followed by NO_EXPRESSION. The annotator may find that a hard face shows nothing that can be told
 * (unknown) or is no face (NF); else sees the truth with the probability of their reliability, and votes blindly otherwise.
 * @param u four uniform numbers in [0, 1)
 */
export function vote(truth: readonly number[], difficulty: number, reliable: number, u: readonly number[]): number {
  const unknown = 0.004 + 0.12 * difficulty ** 2;
  const noFace = 0.01 * difficulty ** 2;
  if (u[0] < unknown) return CLASSES + NO_EXPRESSION.indexOf('unknown');
  if (u[0] < unknown + noFace) return CLASSES + NO_EXPRESSION.indexOf('NF');
  return u[1] < reliable ? drawClass(truth, u[2]) : Math.floor(u[3] * CLASSES);
}

/** A distribution through the shared confusion. */
function confused(shares: readonly number[]): number[] {
  return EXPRESSIONS.map((_, seen) => shares.reduce((sum, share, shown) => sum + share * CONFUSION[shown][seen], 0));
}
