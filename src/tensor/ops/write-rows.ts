import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { launchElementwise } from './elementwise.js';

/**
 * The rows of `values`, [N, D], take the place of those at `rows`, u32 [N] and all different, in a table [M, D] that is kept from step to step.
 * @throws ShapeError where shapes differ
 */
export function writeRows(tape: Tape, table: Tensor, rows: Tensor, values: Tensor): void {
  const [batch, width] = values.shape;
  if (values.shape.length !== 2 || table.shape[1] !== width || rows.size !== batch || rows.dtype !== 'u32')
    throw new ShapeError(
      `[${values.shape}] into ${rows.dtype} rows [${rows.shape}] of a table [${table.shape}]`,
      'Give values [N, D], u32 rows [N] and a table [M, D].',
    );
  launchElementwise(tape, 'write_rows', values, { values, rows, table }, { params: { width } });
}
