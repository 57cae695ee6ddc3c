#!/usr/bin/env node
/** `node dist/evaluate.js --help` */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runEvaluationText } from './evaluation/run-evaluation.js';
import { openGpu } from './gpu/dawn.js';
import { evaluationPictures } from './report/evaluation-pictures.js';
import { replaceFile, storageError } from './run/atomic-file.js';
import { runCommand } from './run/command.js';
import { type CorruptionSetting, corruptedFace } from './run/corrupter.js';
import { evaluateRun } from './run/evaluation.js';
import { parseEvaluateOptions } from './run/options.js';
import { ProgressLine } from './run/progress.js';

await runCommand(async (args) => {
  const options = parseEvaluateOptions(args);
  const { run, corruptions, json, adapter } = options;
  const gpu = await openGpu({ adapter, tuned: true });
  const { record, faces } = await evaluateRun(gpu, options, new ProgressLine());
  process.stdout.write(json ? `${JSON.stringify(record)}\n` : runEvaluationText(record));

  const out = options.out ?? (corruptions && join(run, 'evaluation'));
  if (out === undefined) return;
  await mkdir(out, { recursive: true }).catch((cause) => {
    throw storageError(cause, out);
  });
  await replaceFile(join(out, 'evaluation.json'), [`${JSON.stringify(record)}\n`]);
  const pictures = await evaluationPictures(record, faces, (face, setting) =>
    corruptedFace(gpu, faces, face, setting as CorruptionSetting),
  );
  for (const { file, png } of pictures) await replaceFile(join(out, file), [png]);
  if (!json) {
    const files = [{ file: 'evaluation.json', shows: 'all figures' }, ...pictures];
    process.stdout.write(`\nIn ${out}:\n${files.map(({ file, shows }) => `  ${file.padEnd(20)}  ${shows}`).join('\n')}\n`);
  }
});
