import { pipeline } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { InputError } from '../errors.js';
import { openBytes, readingError } from './lines.js';

/** One row of a CSV file and the line on which it ends (1-based). */
export interface CsvRow {
  line: number;
  cells: readonly string[];
}

/** No row of votes is longer; without a bound a file of another kind would be gathered in memory as one row. */
const LONGEST_ROW = 1 << 20;

/** The rows of a plain or gzipped CSV file, the header first, empty lines left out. Every row has as many cells as the header. */
export async function* readCsv(file: string): AsyncGenerator<CsvRow> {
  const options = { bom: true, info: true, skip_empty_lines: true, relax_column_count: true, trim: true, max_record_size: LONGEST_ROW };
  const rows = pipeline(await openBytes(file), parse(options), () => {}); // the reader of the rows meets the error
  let columns: number | undefined;
  try {
    for await (const { record, info } of rows as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
      columns ??= record.length;
      if (record.length !== columns) {
        throw new InputError(`${record.length} cells, but the header has ${columns}`, 'Give every row one cell per column.', {
          file,
          line: info.lines,
        });
      }
      yield { line: info.lines, cells: record };
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw readingError(error, file);
    throw new InputError(
      `no CSV (${error.message})`,
      'Save the table as comma-separated UTF-8 text.',
      { file, line: Number(error.lines) },
      { cause: error },
    );
  }
  if (columns === undefined) throw new InputError('is empty', 'Give a file with a header and rows.', { file });
}

/**
 * The votes in some cells of a row as numbers.
 * Refuses what is no number, what is negative, and a row in which nobody voted for anything.
 */
export function votesInCells(cells: readonly string[], names: readonly string[], file: string, line: number): number[] {
  const votes = cells.map((cell, index) => {
    const vote = cell === '' ? Number.NaN : Number(cell);
    if (Number.isFinite(vote) && vote >= 0) return vote;
    const message = vote < 0 ? `negative votes: ${cell}` : `'${cell}' is no number of votes`;
    throw new InputError(message, 'Votes are counts or shares: numbers from 0.', { file, line, field: names[index] });
  });
  if (votes.every((vote) => vote === 0)) {
    throw new InputError('all votes are zero', 'Take the row out, or give it the votes of at least one annotator.', { file, line });
  }
  return votes;
}
