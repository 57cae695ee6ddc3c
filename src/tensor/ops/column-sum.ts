import type { LaterSum, Tape } from '../tape.js';
import { createTensor, type Storage, type Tensor } from '../tensor.js';
import { partsOf, rowsOf } from './parts.js';

const THREADS_PER_GROUP = 64;
/** Columns of a thread on a processor, which runs few threads at once and has each find its place first; a GPU would have too few. */
const PROCESSOR_COLUMNS = 4;
/** So many rows, or fewer, are summed in one launch. */
const ONE_STAGE_ROWS = 128;

/** Room for so many parts [parts, ...] of an output, of which `launchColumnSum` makes it: the output itself where it has but one. */
export function partialsOf(tape: Tape, parts: number, output: Tensor): Tensor {
  if (parts === 1) return output;
  if (parts <= ONE_STAGE_ROWS) return tape.partials(parts, output);
  return tape.tensor(`${output.label}.parts`, [parts, ...output.shape]);
}

/**
 * Launches the sum of `input`, seen as [rows, columns] of so many columns, over its rows into `output`, seen as [columns]. Of parts for which `tape.partials`
 * gave the room, it is launched behind the backward pass.
 */
export function launchColumnSum(tape: Tape, input: Tensor, columns: number, output: Tensor): void {
  const rows = input.size / columns;
  if (rows <= ONE_STAGE_ROWS) {
    if (tape.sumLater({ partials: input, rows, columns, output })) return;
    launchChunks(tape, input, { rows, columns, rowsPerChunk: rows }, output);
    return;
  }
  // As many chunks as rows in each: both stages are short, and so is the chain of roundings.
  const rowsPerChunk = Math.ceil(Math.sqrt(rows));
  const chunks = Math.ceil(rows / rowsPerChunk);
  const partials = partialsOf(tape, chunks, output);
  launchChunks(tape, input, { rows, columns, rowsPerChunk }, partials);
  launchColumnSum(tape, partials, columns, output);
}

/** Launches sums whose parts lie in one storage, and their outputs in another; as few launches as bindings allow. */
export function launchLaterSums(tape: Tape, sums: readonly LaterSum[], parts: Storage, outputs: Storage): void {
  const most = tape.gpu.limits.maxStorageBufferBindingSize;
  const byPlace = [...sums].sort((a, b) => a.output.offset - b.output.offset);
  for (let rest = byPlace; rest.length > 0; ) {
    const { offset: first } = rest[0].output;
    const beyond = rest.findIndex(({ output }) => output.offset + output.bytes > first + most);
    const some = rest.slice(0, beyond < 0 ? rest.length : Math.max(1, beyond));
    const { offset, bytes } = some[some.length - 1].output;
    const COLUMNS = columnsOf(tape, some);
    const tables: number[] = [];
    let threads = 0;
    for (const { partials, rows, columns, output } of some) {
      tables.push(threads, partials.offset / 4, rows, columns, (output.offset - first) / 4);
      threads += columns / COLUMNS;
    }
    tape.launch('column_sums', {
      constants: { COLUMNS },
      params: { count: some.length, threads },
      tensors: {
        partials: createTensor(parts.label, [parts.sizeBytes / 4], 'f32', { storage: parts }),
        tables: tape.constant('column_sums.tables', [some.length, 5], Uint32Array.from(tables)),
        sums: createTensor(outputs.label, [(offset + bytes - first) / 4], 'f32', { storage: outputs, offset: first }),
      },
      groups: Math.ceil(threads / THREADS_PER_GROUP),
    });
    rest = rest.slice(some.length);
  }
}

function columnsOf(tape: Tape, sums: readonly { columns: number }[]): number {
  const isWhole = sums.every(({ columns }) => columns % PROCESSOR_COLUMNS === 0);
  return tape.gpu.adapter.isFallback && isWhole ? PROCESSOR_COLUMNS : 1;
}

function launchChunks(
  tape: Tape,
  input: Tensor,
  { rows, columns, rowsPerChunk }: { rows: number; columns: number; rowsPerChunk: number },
  output: Tensor,
): void {
  const chunks = Math.ceil(rows / rowsPerChunk);
  const COLUMNS = columnsOf(tape, [{ columns }]);
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
