#!/usr/bin/env node
/** `node dist/predict.js --help` */
import { writeFile } from 'node:fs/promises';
import type { FaceSet } from './faces/face-set.js';
import { readImage } from './faces/image.js';
import { openGpu } from './gpu/dawn.js';
import { entropy } from './labels/votes.js';
import { predictionTable } from './report/prediction-table.js';
import { storageError } from './run/atomic-file.js';
import { runCommand } from './run/command.js';
import { parsePredictOptions } from './run/options.js';
import { loadTrainedModel } from './run/trained-model.js';

await runCommand(async (args) => {
  const { run, images, checkpoint, explain, json, adapter } = parsePredictOptions(args);
  const gpu = await openGpu({ adapter, tuned: true });
  const model = await loadTrainedModel(gpu, run, checkpoint, 1);
  const { size, channels } = model.options;
  const classes = [...model.classes];
  const extent = { height: size, width: size, channels };
  const pictures: Uint8Array[] = [];
  for (const image of images) pictures.push(await readImage(image, size, channels));
  const faces: FaceSet = {
    name: 'images',
    classes,
    count: images.length,
    ...extent,
    pixels: Buffer.concat(pictures),
    voteNames: classes,
    votes: new Float32Array(images.length * classes.length),
    ids: images,
  };
  let rows: Float32Array[];
  if (explain === undefined) {
    const probabilities = await model.predict(faces);
    rows = images.map((_, face) => probabilities.subarray(face * classes.length, (face + 1) * classes.length));
  } else {
    const { faces: explained, ...maps } = await model.explain(faces);
    rows = explained.map(({ probabilities }) => probabilities);
    const { explanationSheet } = await import('./report/explanation-sheet.js'); // drawing takes long to load
    const shown = explained.map((face, i) => ({ name: images[i], pixels: pictures[i], ...face }));
    await writeFile(explain, explanationSheet(shown, { classes, extent, ...maps })).catch((cause) => {
      throw storageError(cause, explain, '--explain');
    });
  }
  const predictions = images.map((image, face) => ({
    image,
    probabilities: Object.fromEntries(classes.map((name, c) => [name, rows[face][c]])),
    entropy: entropy(rows[face]),
  }));
  process.stdout.write(
    json ? `${JSON.stringify(predictions.length === 1 ? predictions[0] : predictions)}\n` : predictionTable(predictions),
  );
});
