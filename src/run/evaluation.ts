import { UsageError } from '../errors.js';
import type { Evaluation } from '../evaluation/metrics.js';
import { type Robustness, robustness } from '../evaluation/robustness.js';
import { calibrationFigures, type RunEvaluation } from '../evaluation/run-evaluation.js';
import { riskCoveragePoints } from '../evaluation/selective.js';
import { facesOfShared, probabilitiesOfShared, type SharedClasses, sharedClasses } from '../evaluation/shift.js';
import { atTemperature, fitTemperature } from '../evaluation/temperature.js';
import { openDataset } from '../faces/dataset.js';
import { type Dataset, type FaceSet, limitTraining } from '../faces/face-set.js';
import type { Gpu } from '../gpu/gpu.js';
import { CORRUPTION_NAMES, type CorruptionName, SEVERITIES, type Severity } from '../tensor/ops/corrupt.js';
import { judge, judgedFaces, judgeWithoutCopies, riskOfFaces } from './judge.js';
import { nearestName } from './option-table.js';
import { datasetOptions, type EvaluateOptions, type TrainOptions } from './options.js';
import { Pace, type ProgressLine, showReading } from './progress.js';
import { loadTrainedModel, type TrainedModel } from './trained-model.js';

/** What was measured, and the faces that it was measured on, for pictures. */
export interface EvaluatedRun {
  record: RunEvaluation;
  faces: FaceSet;
}

/**
 * Evaluates the model of a run as `options` say.
 *
 * @throws UsageError for corruptions or severities that do not exist, and for data that shares fewer than two classes with the model
 */
export async function evaluateRun(gpu: Gpu, options: EvaluateOptions, line: ProgressLine): Promise<EvaluatedRun> {
  const { run, data, split, checkpoint, batch, temperature, corruptions } = options;
  const wanted = corruptions === undefined ? [] : parseCorruptions(corruptions);
  const severities = parseSeverities(options.severities);
  const model = await loadTrainedModel(gpu, run, checkpoint, batch);
  const home = model.options.data;
  const source = data ?? home;
  const dataset = await open(source, model.options, line);
  const shared = sameNames(dataset.classes, model.classes) ? undefined : sharedClasses(model.classes, dataset.classes);
  const classCount = model.classes.length;
  const confined = (probabilities: Float32Array | Float64Array) =>
    shared ? probabilitiesOfShared(probabilities, classCount, shared) : probabilities;

  const given = dataset[split];
  const faces = shared ? facesOfShared(given, shared) : given;
  const predicted = await predict(model, faces, split, line);
  const probabilities = confined(predicted);
  const evaluation = judge(faces, probabilities);
  const record: RunEvaluation = {
    run: {
      path: run,
      checkpoint,
      model: model.options.model,
      paradigm: model.options.paradigm,
      seed: model.options.seed,
      data: home,
    },
    data: { name: given.name, source, split },
    evaluation,
    riskCoverage: riskCoveragePoints(riskOfFaces(faces, probabilities)),
  };
  if (model.findings) record.findings = model.findings;
  if (source === home && split !== 'train') Object.assign(record, judgeWithoutCopies(faces, probabilities, dataset.train));
  if (shared) record.shift = shiftOf(shared, given, evaluation);

  if (temperature === 'fit') {
    const { validation } = source === home ? dataset : await open(home, model.options, line);
    const before = await predict(model, validation, 'validation', line);
    const value = fitTemperature(before, judgedFaces(validation, before).distributions, classCount);
    const at = (values: Float32Array) => atTemperature(values, classCount, value);
    record.temperature = {
      value,
      validation: {
        before: calibrationFigures(judge(validation, before)),
        after: calibrationFigures(judge(validation, at(before))),
      },
      evaluation: judge(faces, confined(at(predicted))),
    };
  }
  if (wanted.length > 0) record.robustness = await corruptedFigures(model, faces, evaluation, { wanted, severities, confined, line });
  if (options.perFace) record.perFace = perFace(faces, probabilities);
  return { record, faces };
}

/** The faces of a split of the data that a run was trained on. */
export async function facesOfRun(options: TrainOptions, split: EvaluateOptions['split'], line: ProgressLine): Promise<FaceSet> {
  return (await open(options.data, options, line))[split];
}

/** What the model was trained on, with the training faces that it learned from, or all of other data, read alike. */
async function open(source: string, options: TrainOptions, line: ProgressLine): Promise<Dataset> {
  const isHome = source === options.data;
  const { leaveOut, limit } = isHome ? options : { leaveOut: undefined, limit: 0 };
  const dataset = await openDataset(source, datasetOptions({ ...options, leaveOut }, showReading(line))).finally(() => line.end());
  return limitTraining(dataset, limit);
}

function predict(model: TrainedModel, faces: FaceSet, what: string, line: ProgressLine): Promise<Float32Array> {
  return model.predict(faces, (done) => line.update({ what, done, total: faces.count })).finally(() => line.end());
}

interface Corrupted {
  wanted: readonly CorruptionName[];
  severities: readonly Severity[];
  confined: (probabilities: Float32Array) => Float32Array | Float64Array;
  line: ProgressLine;
}

async function corruptedFigures(
  model: TrainedModel,
  faces: FaceSet,
  clean: Evaluation,
  { wanted, severities, confined, line }: Corrupted,
): Promise<Robustness> {
  const { seed } = model.options;
  const total = wanted.length * severities.length * faces.count;
  const pace = new Pace();
  const results: { name: CorruptionName; severity: Severity; evaluation: Evaluation }[] = [];
  for (const name of wanted) {
    for (const severity of severities) {
      const before = results.length * faces.count;
      const onProgress = (done: number) => {
        const { perSecond, remainingSeconds } = pace.mark(before + done, total);
        line.update({ what: `${name} ${severity}`, done: before + done, total, facesPerSecond: perSecond, remainingSeconds });
      };
      const probabilities = await model.predict(faces, onProgress, { name, severity, seed });
      results.push({ name, severity, evaluation: judge(faces, confined(probabilities)) });
    }
  }
  line.end();
  return robustness(seed, clean, results);
}

/** Counts the faces that lose their label with the classes that the model does not know. */
function shiftOf({ names, leftOut }: SharedClasses, given: FaceSet, evaluation: Evaluation): NonNullable<RunEvaluation['shift']> {
  const uniform = new Float32Array(given.count * given.classes.length).fill(1 / given.classes.length);
  const faces = judge(given, uniform).count - evaluation.count;
  return { classes: names, leftOut: { ...leftOut, faces } };
}

function perFace(
  { ids, voteNames, votes, classes, count }: FaceSet,
  probabilities: ArrayLike<number>,
): NonNullable<RunEvaluation['perFace']> {
  const rows = (table: ArrayLike<number>, width: number) =>
    Array.from({ length: count }, (_, face) => Array.from({ length: width }, (_, i) => table[face * width + i]));
  return {
    ids: [...ids],
    voteNames: [...voteNames],
    probabilities: rows(probabilities, classes.length),
    votes: rows(votes, voteNames.length),
  };
}

/** 'all' or 'fog,jpeg' as names. @throws UsageError for one that does not exist. */
export function parseCorruptions(text: string): readonly CorruptionName[] {
  if (text === 'all') return CORRUPTION_NAMES;
  const names = [...new Set(text.split(',').map((name) => name.trim()))];
  const stranger = names.find((name) => !CORRUPTION_NAMES.includes(name as CorruptionName));
  if (stranger === undefined) return names as CorruptionName[];
  const nearest = nearestName(stranger, CORRUPTION_NAMES);
  const remedy = `Give all, or some of ${CORRUPTION_NAMES.join(',')}.`;
  throw new UsageError(`there is no corruption '${stranger}'`, nearest ? `Did you mean ${nearest}? ${remedy}` : remedy, {
    field: '--corruptions',
  });
}

/** '1..5' or '1,3,5' as severities. @throws UsageError for anything else. */
export function parseSeverities(text: string): readonly Severity[] {
  const [, first, last] = /^([1-5])\.\.([1-5])$/.exec(text) ?? [];
  const chosen = first
    ? SEVERITIES.filter((severity) => severity >= Number(first) && severity <= Number(last))
    : text.split(',').map(Number);
  const isKnown = chosen.length > 0 && chosen.every((severity) => SEVERITIES.includes(severity as Severity));
  if (isKnown && new Set(chosen).size === chosen.length) return chosen as Severity[];
  throw new UsageError(`'${text}' are no severities`, 'Give a range as 1..5, or a list as 1,3,5.', { field: '--severities' });
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.join() === b.join();
}
