import type { CommandLine, Option } from './option-table.js';

/** What --help prints: every option under its heading with its values and default, in lines of at most `width` columns. */
export function formatHelp({ command, usage, positionals, table }: CommandLine, width: number): string {
  const rows = Object.entries(table).map(([name, option]) => ({
    group: option.group,
    name: signature(name, option),
    texts: explanation(option),
  }));
  rows.push(
    { group: 'More:', name: '--help', texts: ['Show this text'] },
    { group: 'More:', name: '--version', texts: ['Show the version of moue'] },
  );
  const column = Math.max(...rows.map(({ name }) => name.length)) + 4; // where the explanations begin
  const lines = [`node dist/${command}.js ${[positionals, '[options]'].filter(Boolean).join(' ')}`, '', ...wrapWords(usage, width)];
  rows.forEach(({ group, name, texts }, i) => {
    if (group !== rows[i - 1]?.group) lines.push('', group);
    const [first, ...rest] = texts.flatMap((text) => wrapWords(text, width - column));
    lines.push(`  ${name}`.padEnd(column) + first, ...rest.map((line) => ' '.repeat(column) + line));
  });
  return lines.join('\n');
}

function signature(name: string, { type }: Option): string {
  return type === 'boolean' ? `--${name}` : `--${name} <${type === 'number' ? 'number' : 'text'}>`;
}

function explanation({ description, choices, notes = [], default: value, defaultText = String(value) }: Option): string[] {
  const values = choices ? ` (${choices.join(', ')})` : '';
  return [`${description}${values} [default: ${defaultText}]`, ...notes];
}

/** Breaks a text between words; a word longer than `width` gets a line of its own. */
function wrapWords(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
