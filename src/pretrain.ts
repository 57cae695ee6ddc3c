#!/usr/bin/env node
/** `node dist/pretrain.js --help` */
import { join } from 'node:path';
import type { PretrainingRecord } from './report/learning-curves.js';
import { replaceFile } from './run/atomic-file.js';
import { runCommand } from './run/command.js';
import { parsePretrainOptions } from './run/options.js';
import { type DrawnEpoch, pretrain } from './run/pretraining.js';
import { ProgressLine } from './run/progress.js';

const PICTURE = 'reconstruction.png';
const CURVES = 'learning-curves.png';

async function draw({ folder, epoch, loss, blankLoss, ...shown }: DrawnEpoch): Promise<void> {
  const { reconstructionSheet } = await import('./report/reconstruction-sheet.js'); // drawing takes long to load, and is not needed before
  const { pretrainingCurves } = await import('./report/learning-curves.js');
  const subtitle = `faces that were not learned from, after epoch ${epoch}; error of all of them ${loss.toFixed(4)}, of blank patches ${blankLoss.toFixed(4)}`;
  await replaceFile(join(folder.path, PICTURE), [reconstructionSheet({ title: 'Hidden patches of faces', subtitle, ...shown })]);
  await replaceFile(join(folder.path, CURVES), [
    await pretrainingCurves(folder.readLog() as readonly object[] as readonly PretrainingRecord[], blankLoss),
  ]);
}

await runCommand(async (args) => {
  const { folder, loss, blankLoss, bestEpoch, seconds, record } = await pretrain(parsePretrainOptions(args), new ProgressLine(), draw);
  await folder.finish(record);
  const lines = [
    `Error of the hidden patches of validation faces: ${loss.toFixed(4)} with the weights of epoch ${bestEpoch}, the best; blank patches have ${blankLoss.toFixed(4)}.`,
    '',
    `  time        ${Math.round(seconds)} s`,
    `  run folder  ${folder.path}`,
    `  encoder     encoder.safetensors  for node dist/train.js --from ${folder.path}`,
    `  pictures    ${PICTURE}   what is seen of faces, how they are completed, and the faces`,
    `              ${CURVES}  error of the hidden patches by epoch`,
  ];
  process.stdout.write(`\n${lines.join('\n')}\n`);
});
