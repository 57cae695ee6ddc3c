#!/usr/bin/env node
/** `node dist/evaluate.js --help` */
import { UsageError } from './errors.js';
import { evaluationTable } from './evaluation/table.js';
import { openDataset } from './faces/dataset.js';
import { openGpu } from './gpu/dawn.js';
import { runCommand } from './run/command.js';
import { judge } from './run/judge.js';
import { datasetOptions, parseEvaluateOptions } from './run/options.js';
import { ProgressLine, showReading } from './run/progress.js';
import { loadTrainedModel } from './run/trained-model.js';

await runCommand(async (args) => {
  const { run, data, split, checkpoint, batch, json, adapter } = parseEvaluateOptions(args);
  const gpu = await openGpu({ adapter, tuned: true });
  const model = await loadTrainedModel(gpu, run, checkpoint, batch);
  const line = new ProgressLine();
  const dataset = await openDataset(data ?? model.options.data, datasetOptions(model.options, showReading(line)));
  if (dataset.classes.join() !== model.classes.join()) {
    throw new UsageError(
      `the model tells ${model.classes.join(', ')}; the data has ${dataset.classes.join(', ')}`,
      'Evaluate on data with the classes of the run.',
      { field: '--data' },
    );
  }
  const faces = dataset[split];
  const probabilities = await model.predict(faces, (done) => line.update({ what: split, done, total: faces.count }));
  line.end();
  const evaluation = judge(faces, probabilities);
  process.stdout.write(json ? `${JSON.stringify(evaluation)}\n` : evaluationTable(evaluation));
});
