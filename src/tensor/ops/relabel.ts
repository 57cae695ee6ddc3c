import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';

export interface RelabelInputs {
  /** [N, C] */
  logits: Tensor;
  /** The present labels, one-hot: [N, C] */
  targets: Tensor;
  /** 1 for faces that keep their label in any case, else 0: [N] */
  high: Tensor;
  /** u32 [N] into the table, all different */
  rows: Tensor;
}

/**
 * Writes new one-hot labels into rows of a table [M, C], where the most probable class is more probable than the present label by over `margin` (Wang et al.
 * 2020, SCN, eq. 5).
 * @throws ShapeError where shapes differ
 */
export function relabel(tape: Tape, table: Tensor, { logits, targets, high, rows }: RelabelInputs, margin: number): void {
  const [batch, classes] = logits.shape;
  if (`${targets.shape}` !== `${logits.shape}` || table.shape[1] !== classes || high.size !== batch || rows.size !== batch)
    throw new ShapeError(
      `relabelling of [${table.shape}] by logits [${logits.shape}], targets [${targets.shape}], high [${high.shape}], rows [${rows.shape}]`,
      'Give a table [M, C], logits and targets [N, C], high and rows [N].',
    );
  tape.launch('relabel', {
    params: { batch, classes, margin },
    tensors: { logits, targets, high, rows, table },
    groups: Math.ceil(batch / 64),
  });
}
