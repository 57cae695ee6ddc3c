#!/usr/bin/env node
/** `node dist/train.js --help` */
import { writeRunPictures } from './report/run-pictures.js';
import { summary } from './report/summary.js';
import { runCommand } from './run/command.js';
import { parseTrainOptions } from './run/options.js';
import { ProgressLine } from './run/progress.js';
import { train } from './run/training.js';

await runCommand(async (args) => {
  const result = await train(parseTrainOptions(args), new ProgressLine());
  const pictures = await writeRunPictures(result.folder, result.dataset, result.testProbabilities);
  await result.folder.finish(result.record);
  process.stdout.write(summary(result, pictures));
});
