import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { partsOf, rowsOf } from './parts.js';

const THREADS_PER_GROUP = 64;
/** Columns of a thread on a processor, which runs few threads at once and has each find its place first; a GPU would have too few. */
const PROCESSOR_COLUMNS = 4;
/** Fewer rows are summed in one launch. */
const ONE_STAGE_ROWS = 128;

/** Launches the sum of `input`, seen as [rows, columns] of so many columns, over its rows into `output`, seen as [columns]. */
export function launchColumnSum(tape: Tape, input: Tensor, columns: number, output: Tensor): void {
  const rows = input.size / columns;
  if (rows <= ONE_STAGE_ROWS) {
    launchChunks(tape, input, { rows, columns, rowsPerChunk: rows }, output);
    return;
  }
  // As many chunks as rows in each: both stages are short, and so is the chain of roundings.
  const rowsPerChunk = Math.ceil(Math.sqrt(rows));
  const chunks = Math.ceil(rows / rowsPerChunk);
  const partials = tape.tensor('column_sum.partials', [chunks, columns]);
  launchChunks(tape, input, { rows, columns, rowsPerChunk }, partials);
  launchChunks(tape, partials, { rows: chunks, columns, rowsPerChunk: chunks }, output);
}

function launchChunks(
  tape: Tape,
  input: Tensor,
  { rows, columns, rowsPerChunk }: { rows: number; columns: number; rowsPerChunk: number },
  output: Tensor,
): void {
  const chunks = Math.ceil(rows / rowsPerChunk);
  const COLUMNS = tape.gpu.adapter.isFallback && columns % PROCESSOR_COLUMNS === 0 ? PROCESSOR_COLUMNS : 1;
  for (const { first, count } of partsOf(tape, chunks, [(rowsPerChunk * input.bytes) / rows, output.bytes / chunks])) {
    const part = { first: first * rowsPerChunk, count: Math.min(count * rowsPerChunk, rows - first * rowsPerChunk) };
    const run = { ...rowsOf(tape, { input }, part, [columns]), ...rowsOf(tape, { output }, { first, count }, [columns]) };
    tape.launch('column_sum', {
      constants: { COLUMNS },
      params: { rows: part.count, columns, rows_per_chunk: rowsPerChunk },
      tensors: run,
      groups: Math.ceil((count * columns) / COLUMNS / THREADS_PER_GROUP),
    });
  }
}
