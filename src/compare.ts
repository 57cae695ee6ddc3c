#!/usr/bin/env node
/** `node dist/compare.js --help` */
import { join } from 'node:path';
import { RunError } from './errors.js';
import { comparisonCsv, comparisonMarkdown, summarise } from './report/comparison.js';
import { comparisonReport } from './report/comparison-report.js';
import type { EpochRecord } from './report/learning-curves.js';
import { replaceFile } from './run/atomic-file.js';
import { runCommand } from './run/command.js';
import { runGrid } from './run/comparison.js';
import { parseCompareOptions } from './run/options.js';
import { ProgressLine } from './run/progress.js';

await runCommand(async (args) => {
  const options = parseCompareOptions(args);
  const { out } = options;
  const { runs, baseline, failed, readFaces } = await runGrid(options, new ProgressLine());
  const markdown = comparisonMarkdown(runs, baseline);
  const faces = await readFaces();
  const reported = runs.map((run) => ({
    ...run,
    epochs: run.folder.readLog().filter(({ type }) => type === 'epoch') as unknown as EpochRecord[],
  }));
  const withoutFaces = runs.map(({ label, seed, seconds, bestEpoch, folder, record: { perFace, ...record } }) => {
    return { label, seed, run: folder.path, seconds, bestEpoch, record };
  });
  const files = {
    'results.json': `${JSON.stringify({ baseline, ...summarise(runs, baseline), runs: withoutFaces }, null, 1)}\n`,
    'runs.csv': comparisonCsv(runs),
    'table.md': markdown,
    'report.html': await comparisonReport(reported, baseline, faces, `Paradigms compared on ${faces.name}`),
  };
  for (const [file, content] of Object.entries(files)) await replaceFile(join(out, file), [content]);
  process.stdout.write(`${markdown}\nIn ${out}: ${Object.keys(files).join(', ')}, and a folder for each run\n`);
  if (failed.length > 0) {
    throw new RunError(
      `of ${runs.length + failed.length} runs ${failed.length} failed and are missing in these figures: ${failed.join(', ')}`,
      'Mend what was said of each, and give the same command again: it does the missing runs alone.',
    );
  }
});
