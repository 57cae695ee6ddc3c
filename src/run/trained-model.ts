import type { FaceSet } from '../faces/face-set.js';
import type { Gpu } from '../gpu/gpu.js';
import type { ModelName } from '../nn/models.js';
import { Parameters } from '../nn/parameters.js';
import { constantsOf, type Explanation, explanationOf, type Findings, logitsOf, paradigms } from '../paradigms/index.js';
import { AUXILIARY, Student } from '../paradigms/student.js';
import type { FaceExtent } from '../tensor/ops/augment.js';
import { concat, reshape, softmax } from '../tensor/ops/index.js';
import { Tape } from '../tensor/tape.js';
import { checkTensors, evaluatedWeights, loadCheckpoint } from './checkpoint.js';
import type { CorruptionSetting } from './corrupter.js';
import { modelOptions as modelOptionsOf, type TrainOptions, trainOptionsOf } from './options.js';
import { Predictor, type PredictorOptions } from './predictor.js';
import { RunFolder } from './run-folder.js';

/** What a model says of a face, and where in it it read that. */
export interface ExplainedFace {
  /** [classes] */
  probabilities: Float32Array;
  /** [classes, rows, columns] */
  maps: Float32Array;
}

/** Of faces, in their order. */
export interface ExplainedFaces {
  faces: ExplainedFace[];
  /** Of every map. */
  rows: number;
  columns: number;
  kind: Explanation['kind'];
}

/** What a run has learned, ready to look at faces. */
export interface TrainedModel {
  options: TrainOptions;
  classes: readonly string[];
  /** What its paradigm tells of its weights. */
  findings: Findings | undefined;
  /** @returns probabilities [faces.count, classes] */
  predict(faces: FaceSet, onProgress?: (done: number) => void, corruption?: CorruptionSetting): Promise<Float32Array>;
  /** @throws UsageError where it cannot tell where it looks */
  explain(faces: FaceSet): Promise<ExplainedFaces>;
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
    findings: paradigm.findings?.(values),
    async predict(faces, onProgress, corruption) {
      const source = extentOf(faces);
      const extent = JSON.stringify(source);
      if (predictor?.extent !== extent) {
        await predictor?.create.then((earlier) => earlier.destroy());
        const create = Predictor.create(gpu, parameters, { model, modelOptions, paradigm, constants, batch, source, input });
        predictor = { extent, create };
      }
      return (await predictor.create).predict(faces, onProgress, corruption);
    },
    explain: (faces) =>
      explained(gpu, parameters, { model, modelOptions, paradigm, constants, batch, source: extentOf(faces), input }, faces),
    async destroy() {
      await predictor?.create.then((last) => last.destroy());
      parameters.destroy(gpu);
    },
  };
}

function extentOf({ height, width, channels }: FaceSet): FaceExtent {
  return { height, width, channels };
}

async function explained(gpu: Gpu, parameters: Parameters, options: PredictorOptions, faces: FaceSet): Promise<ExplainedFaces> {
  const { paradigm, constants, model, modelOptions } = options;
  const { classes } = modelOptions;
  let explanation: Explanation;
  const predictor = await Predictor.of(gpu, options, (tape, batch) => {
    explanation = explanationOf(paradigm, constants, new Student({ tape, parameters, path: '' }, model, modelOptions), batch);
    const { logits, maps } = explanation;
    return concat(tape, [softmax(tape, logits), reshape(tape, maps, [batch.shape[0], maps.size / batch.shape[0]])], 1);
  });
  const found = await predictor.predict(faces);
  predictor.destroy();
  const { maps, kind } = explanation!;
  const [, , rows, columns] = maps.shape;
  const perFace = classes * (1 + rows * columns);
  const rowOf = (face: number) => found.subarray(face * perFace, (face + 1) * perFace);
  return {
    faces: Array.from({ length: faces.count }, (_, face) => ({
      probabilities: rowOf(face).subarray(0, classes),
      maps: rowOf(face).subarray(classes),
    })),
    rows,
    columns,
    kind,
  };
}
