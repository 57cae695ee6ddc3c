import { type Copy, type Inspection, QUANTILES, ROLES, type SplitFigures } from '../faces/inspection.js';
import type { Picture } from './run-pictures.js';

const BAR_COLUMNS = 30;
/** Rows of a long list that are shown; the whole list stands in a file. */
const MOST_ROWS = 5;

/** What is in a dataset, as text for a terminal. */
export function inspectionTable(inspection: Inspection, folder: string, pictures: readonly Picture[]): string {
  const { name, classes, size, channels, splits, problems, leftOut, notes } = inspection;
  const lines = [`${name}: ${classes.length} classes, ${size}×${size} ${channels === 3 ? 'RGB' : 'grey'}`];
  for (const role of ROLES)
    lines.push('', `${role}: ${count(splits[role].faces)} faces, by the class that most annotators chose`, ...bars(splits[role]));
  lines.push('', ...voteTable(inspection), '', ...duplicateRows(inspection));
  for (const kind of ['missing', 'unreadable'] as const) {
    const those = problems.filter((problem) => problem.kind === kind);
    lines.push(...listed(`${kind} images`, those.map(({ id, place }) => `${place}: ${id}`))); // biome-ignore format: one call
  }
  const counts = Object.entries(leftOut).filter(([, faces]) => faces > 0);
  lines.push(`left out for their label: ${counts.map(([label, faces]) => `${count(faces)} ${label}`).join(', ') || 'none'}`);
  if (notes.length > 0) lines.push('', 'notes', ...notes.map((note) => `  ${note}`));
  const width = Math.max(...pictures.map(({ file }) => file.length));
  lines.push('', `in ${folder}`, ...pictures.map(({ file, shows }) => `  ${file.padEnd(width)}  ${shows}`));
  return `${lines.join('\n')}\n`;
}

function bars({ faces, classes, withoutClass }: SplitFigures): string[] {
  const rows = [...classes, ...(withoutClass > 0 ? [{ name: '(none)', faces: withoutClass }] : [])];
  const nameWidth = Math.max(...rows.map(({ name }) => name.length));
  const countWidth = Math.max(...rows.map((row) => count(row.faces).length));
  const most = Math.max(1, ...rows.map((row) => row.faces));
  return rows.map((row) => {
    const bar = '█'.repeat(Math.round((BAR_COLUMNS * row.faces) / most));
    return `  ${row.name.padEnd(nameWidth)}  ${count(row.faces).padStart(countWidth)}  ${percent(row.faces / Math.max(1, faces))}  ${bar}`.trimEnd();
  });
}

function voteTable({ splits, classes }: Inspection): string[] {
  const all = ROLES.map((role) => splits[role]);
  const rows = [
    ['votes', ...ROLES],
    ['  per face, least to most (mean)', ...all.map(({ votes }) => range(votes))],
    ['  agreement, 1: all for one class', ...all.map(({ agreement }) => agreement?.toFixed(3) ?? '–')],
    ...QUANTILES.map((share, i) => [
      `  entropy, ${share === 0 ? 'least' : share === 1 ? `greatest (of ${Math.log(classes.length).toFixed(3)})` : `${100 * share} % of faces up to`}`,
      ...all.map(({ entropy }) => entropy[i]?.toFixed(3) ?? '–'),
    ]),
    [
      '  ambiguous: no class above half',
      ...all.map(({ ambiguous, faces }) => `${count(ambiguous)} (${percent(ambiguous / Math.max(1, faces)).trim()})`),
    ],
  ];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('  '));
}

function duplicateRows({ duplicates }: Inspection): string[] {
  const across = duplicates.filter((group) => new Set(group.map(({ split }) => split)).size > 1);
  const faces = duplicates.reduce((sum, group) => sum + group.length, 0);
  const extent = `exact copies: ${count(faces)} faces that look like another one`;
  if (faces === 0) return [extent];
  return listed(
    `${extent}, in ${count(duplicates.length)} groups, ${count(across.length)} of them across splits`,
    [...across, ...duplicates.filter((group) => !across.includes(group))].map((group) => group.map(copyText).join(' = ')),
    '',
  );
}

/** Where a copy is, in words. */
export function copyText({ split, id, place }: Copy): string {
  return `${id} (${place ? `${place}, ` : ''}${split})`;
}

function listed(title: string, rows: readonly string[], counted = `: ${count(rows.length)}`): string[] {
  const more = rows.length > MOST_ROWS ? [`  … and ${count(rows.length - MOST_ROWS)} more in problems.csv`] : [];
  return [`${title}${counted}`, ...rows.slice(0, MOST_ROWS).map((row) => `  ${row}`), ...more];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1).padStart(5)} %`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function range({ least, mean, most }: SplitFigures['votes']): string {
  const [low, middle, high] = [least, mean, most].map((value) => String(Number(value.toFixed(2))));
  return low === high ? low : `${low}–${high} (${middle})`;
}
