import type { FaceSet } from '../faces/face-set.js';
import type { Gpu } from '../gpu/gpu.js';
import type { ModelName } from '../nn/models.js';
import { Parameters } from '../nn/parameters.js';
import { constantsOf, logitsOf, paradigms } from '../paradigms/index.js';
import { AUXILIARY, Student } from '../paradigms/student.js';
import { Tape } from '../tensor/tape.js';
import { type Checkpoint, checkTensors, loadCheckpoint } from './checkpoint.js';
import type { CorruptionSetting } from './corrupter.js';
import { modelOptions as modelOptionsOf, type TrainOptions, trainOptionsOf } from './options.js';
import { Predictor } from './predictor.js';
import { RunFolder } from './run-folder.js';

/** What a run has learned, ready to look at faces. */
export interface TrainedModel {
  options: TrainOptions;
  classes: readonly string[];
  /** @returns probabilities [faces.count, classes] */
  predict(faces: FaceSet, onProgress?: (done: number) => void, corruption?: CorruptionSetting): Promise<Float32Array>;
  /** Frees its memory on the device. */
  destroy(): Promise<void>;
}

/**
 * Loads the model of a run; the averaged weights where the run kept them.
 * @throws RunError where the folder holds no such checkpoint, or one of another model than its config says.
 */
export async function loadTrainedModel(gpu: Gpu, runPath: string, which: 'best' | 'last', batch: number): Promise<TrainedModel> {
  const folder = RunFolder.open(runPath);
  const options = trainOptionsOf(folder);
  const path = folder.existingCheckpoint(which);
  const checkpoint = await loadCheckpoint(path);
  const model = checkpoint.state.model as ModelName;
  const modelOptions = modelOptionsOf(options, checkpoint.state.classes.length);
  const input = { height: options.size, width: options.size, channels: options.channels };

  const parameters = Parameters.create();
  const tape = new Tape(gpu);
  const paradigm = paradigms[options.paradigm];
  const constants = constantsOf(options.paradigm, options.set ?? '');
  const faces = tape.input('faces', [1, input.height, input.width, input.channels]);
  logitsOf(paradigm, constants, new Student({ tape, parameters, path: '' }, model, modelOptions), faces);
  const isNeeded = (name: string) => parameters.entries.has(name) || !name.startsWith(AUXILIARY);
  const values = new Map([...evaluatedWeights(checkpoint)].filter(([name]) => isNeeded(name)));
  checkTensors(path, values, new Map([...parameters.entries].map(([name, { tensor }]) => [name, tensor])));
  parameters.write(gpu, values);

  let predictor: { create: Promise<Predictor>; extent: string } | undefined;
  return {
    options,
    classes: checkpoint.state.classes,
    async predict(faces, onProgress, corruption) {
      const source = { height: faces.height, width: faces.width, channels: faces.channels };
      const extent = JSON.stringify(source);
      if (predictor?.extent !== extent) {
        await predictor?.create.then((earlier) => earlier.destroy());
        predictor = {
          extent,
          create: Predictor.create(gpu, parameters, { model, modelOptions, paradigm, constants, batch, source, input }),
        };
      }
      return (await predictor.create).predict(faces, onProgress, corruption);
    },
    async destroy() {
      await predictor?.create.then((last) => last.destroy());
      parameters.destroy(gpu);
    },
  };
}

/** The averaged weights, with the buffers that both sets share, or else the weights. */
function evaluatedWeights({ weights, average }: Checkpoint): Checkpoint['weights'] {
  return average ?? weights;
}
