#!/usr/bin/env node
/** `node dist/predict.js --help` */
import type { FaceSet } from './faces/face-set.js';
import { readImage } from './faces/image.js';
import { openGpu } from './gpu/dawn.js';
import { entropy } from './labels/votes.js';
import { predictionTable } from './report/prediction-table.js';
import { runCommand } from './run/command.js';
import { parsePredictOptions } from './run/options.js';
import { loadTrainedModel } from './run/trained-model.js';

await runCommand(async (args) => {
  const { run, images, checkpoint, json, adapter } = parsePredictOptions(args);
  const gpu = await openGpu({ adapter, tuned: true });
  const model = await loadTrainedModel(gpu, run, checkpoint, 1);
  const { size, channels } = model.options;
  const classes = [...model.classes];
  const predictions = [];
  for (const image of images) {
    const faces: FaceSet = {
      name: image,
      classes,
      count: 1,
      height: size,
      width: size,
      channels: channels,
      pixels: await readImage(image, size, channels),
      voteNames: classes,
      votes: new Float32Array(classes.length),
      ids: [image],
    };
    const row = await model.predict(faces);
    predictions.push({ image, probabilities: Object.fromEntries(classes.map((name, c) => [name, row[c]])), entropy: entropy(row) });
  }
  process.stdout.write(
    json ? `${JSON.stringify(predictions.length === 1 ? predictions[0] : predictions)}\n` : predictionTable(predictions),
  );
});
