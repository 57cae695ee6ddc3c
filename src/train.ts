#!/usr/bin/env node
/** `node dist/train.js --help` */
import { summary } from './report/summary.js';
import { runCommand } from './run/command.js';
import { parseTrainOptions } from './run/options.js';
import { PRESETS } from './run/presets.js';
import { ProgressLine } from './run/progress.js';
import { train } from './run/training.js';

await runCommand(async (args) => {
  const options = parseTrainOptions(args);
  const result = await train(options, new ProgressLine());
  const { writeRunPictures } = await import('./report/run-pictures.js'); // drawing takes long to load, and is not needed before
  const pictures = await writeRunPictures(result.folder, result.dataset, result.testProbabilities);
  await result.folder.finish(result.record);
  process.stdout.write(summary({ ...result, published: options.preset && PRESETS[options.preset] }, pictures));
});
