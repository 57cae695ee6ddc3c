import { resolve } from 'node:path';
import { RunError, UsageError } from '../errors.js';
import { type DatasetOptions, GENERATED } from '../faces/dataset.js';
import { type ModelName, type ModelOptions, models, POOLINGS } from '../nn/models.js';
import { isVisionTransformer, VISION_TRANSFORMERS, type VisionTransformerName } from '../nn/vision-transformer.js';
import { constantsOf, type ParadigmName, paradigms } from '../paradigms/index.js';
import { maskedImages } from '../paradigms/masked-images.js';
import { CORRUPTION_NAMES } from '../tensor/ops/corrupt.js';
import {
  type CommandLine,
  checkConfig,
  completeOptions,
  configOf,
  type GivenOptions,
  grouped,
  nearestName,
  type OptionsOf,
  type OptionTable,
  type OptionValue,
  parseArguments,
  readConfigFile,
} from './option-table.js';
import { PRESETS, type PresetName } from './presets.js';
import { RunFolder } from './run-folder.js';
import { SAMPLINGS } from './sampling.js';

const PARADIGMS = Object.keys(paradigms) as ParadigmName[];
const MODELS = ['auto', ...(Object.keys(models) as ModelName[])] as const;

/** Some options are theirs alone. */
const TRANSFORMERS = 'vision transformers';

const DATA =
  "'generated' for the built-in faces, the folder of FER+ (fer2013.csv and fer2013new.csv), RAF-DB or AffectNet, a folder of images per class, or a CSV of votes";
const ADAPTER = "Part of the adapter's name, or 'software'";
const MAX_SEED = 2 ** 32 - 1;

/** All options of train. Names and meanings are kept, for they stand in config files and scripts. */
const TRAIN_TABLE = {
  ...grouped('What to learn:', {
    preset: {
      type: 'string',
      description: 'A published set-up, for data of its kind; other options change it',
      notes: (Object.keys(PRESETS) as PresetName[]).map(
        (name) => `${name}: ${(100 * PRESETS[name].accuracy).toFixed(2)} %, ${PRESETS[name].source}`,
      ),
      choices: Object.keys(PRESETS) as PresetName[],
      defaultText: 'none',
    },
    data: { type: 'string', description: DATA, default: GENERATED },
    faces: {
      type: 'number',
      description: 'Count of generated faces',
      default: 6000,
      range: { integer: true, min: 100, max: 1_000_000 },
      fixed: true,
    },
    paradigm: {
      type: 'string',
      description: 'What the votes are taken to mean',
      notes: PARADIGMS.map((name) => `${name}: ${paradigms[name].summary}`),
      choices: PARADIGMS,
      default: 'moue',
      fixed: true,
    },
    set: {
      type: 'string',
      description: 'Constants of the paradigm, as smoothing=0.2,temperature=2',
      notes: PARADIGMS.flatMap((name) =>
        Object.entries(paradigms[name].constants).map(([constant, { value, about }]) => `${name} ${constant}=${value}: ${about}`),
      ),
      defaultText: "those of the method's paper",
      fixed: true,
    },
    teacher: {
      type: 'string',
      description:
        'Folders of earlier runs, separated by commas, whose mean distribution for each face the paradigm born-again learns from; for it alone',
      defaultText: 'none',
      fixed: true,
    },
    limit: {
      type: 'number',
      description: 'Learn from this many of the training faces, the same ones for every seed, 0: from all',
      default: 0,
      range: { integer: true, min: 0, max: 1e9 },
      fixed: true,
    },
    'wrong-labels': {
      type: 'number',
      description: 'Share of the training faces whose votes are made wrong, two classes exchanged: for experiments',
      default: 0,
      range: { min: 0, max: 1 },
      fixed: true,
    },
    candidates: {
      type: 'number',
      description:
        'Learn from candidate sets alone: the class with most votes, after --wrong-labels, and every other class with this probability: for experiments',
      default: 0,
      range: { min: 0, below: 1 },
      defaultText: '0: from the votes',
      fixed: true,
    },
    'leave-out': {
      type: 'string',
      description: 'Classes to do without, with commas between: contempt makes AffectNet-7 of AffectNet',
      defaultText: 'none',
      fixed: true,
    },
    'validation-share': {
      type: 'number',
      description: 'Part of the training faces kept for validation where the dataset has no such split',
      default: 0.1,
      range: { above: 0, max: 0.5 },
      fixed: true,
    },
    size: {
      type: 'number',
      description: 'Side of the faces in pixels, as 48, 64, 112 or 224',
      default: 48,
      range: { integer: true, min: 16, max: 512 },
      fixed: true,
    },
    channels: { type: 'number', description: '1: grey, 3: RGB', choices: [1, 3], default: 1, fixed: true },
    augment: {
      type: 'string',
      description: 'How faces are varied: light and ferplus by their geometry, strong by light and occlusion as well',
      choices: ['ferplus', 'light', 'strong', 'none'],
      default: 'ferplus',
      fixed: true,
    },
    sampling: {
      type: 'string',
      description: 'Which faces an epoch visits',
      notes: ['natural: each once; balanced: as many, those of each majority class equally often'],
      choices: SAMPLINGS,
      default: 'natural',
      fixed: true,
    },
  }),
  ...grouped('Model:', {
    model: {
      type: 'string',
      description: 'Network; auto is small on software adapters, resnet18 on GPUs',
      choices: MODELS,
      default: 'auto',
      fixed: true,
    },
    width: { type: 'number', description: 'Factor on the channels of every layer', default: 1, range: { above: 0, max: 16 }, fixed: true },
    dropout: {
      type: 'number',
      description: 'Share of features dropped before the last layer; half of it after the groups of vgg13',
      default: ({ model }) => (model === 'vgg13' ? 0.5 : 0),
      defaultText: '0.5 for vgg13, else 0',
      range: { min: 0, below: 1 },
      fixed: true,
    },
    from: {
      type: 'string',
      description:
        'First weights, but for those of a last layer for other classes: a run, of pretraining too, or a .safetensors file with the names of moue, of timm or Hugging Face (ViT, DeiT, ViT-MAE), or of torchvision (ResNet-18)',
      defaultText: 'random ones',
      fixed: true,
    },
    probe: {
      type: 'boolean',
      description: 'Linear probing: the backbone of --from stays as it is, and only the last layer learns, behind a batch norm',
      default: false,
      fixed: true,
    },
    patch: {
      type: 'number',
      description: `Side of the patches of ${TRANSFORMERS}, in pixels; 0: an eighth of faces below 96 pixels, else 16`,
      default: 0,
      range: { integer: true, min: 0, max: 512 },
      fixed: true,
    },
    pooling: {
      type: 'string',
      description: `What stands for the whole face in ${TRANSFORMERS}: the class token, or the mean of the others`,
      choices: POOLINGS,
      default: 'token',
      fixed: true,
    },
    'drop-path': {
      type: 'number',
      description: `Share of the faces that skip the last block of ${TRANSFORMERS} in training, falling to 0 at the first`,
      default: 0,
      range: { min: 0, below: 1 },
      fixed: true,
    },
  }),
  ...grouped('Optimisation:', {
    epochs: {
      type: 'number',
      description: 'Passes over the training faces',
      default: ({ data }) => (data === GENERATED ? 6 : 20),
      defaultText: '20, but 6 for generated faces',
      range: { integer: true, min: 1, max: 100_000 },
    },
    steps: {
      type: 'number',
      description: 'Stop after this many optimiser steps, 0: no limit',
      default: 0,
      range: { integer: true, min: 0, max: 1e9 },
    },
    batch: { type: 'number', description: 'Faces per step', default: 64, range: { integer: true, min: 1, max: 8192 }, fixed: true },
    optimizer: { type: 'string', description: 'Update rule', choices: ['sgd', 'adamw'], default: 'sgd', fixed: true },
    'learning-rate': {
      type: 'number',
      description: 'Highest learning rate of the schedule',
      default: ({ optimizer }) => (optimizer === 'adamw' ? 0.001 : 0.05),
      defaultText: '0.05 for sgd, 0.001 for adamw',
      range: { above: 0, max: 100 },
      fixed: true,
    },
    schedule: {
      type: 'string',
      description: 'Course of the learning rate after the warm-up',
      notes: ['step: half of it from a fifth of the epochs, a tenth from two fifths; exponential: 0.9 of it per epoch'],
      choices: ['cosine', 'step', 'constant', 'exponential'],
      default: 'cosine',
      fixed: true,
    },
    'warmup-epochs': {
      type: 'number',
      description: 'Epochs in which the learning rate rises from 0',
      default: ({ epochs }) => Math.min(1, Number(epochs) / 10),
      defaultText: '1, or a tenth of --epochs',
      range: { min: 0, max: 100_000 },
      fixed: true,
    },
    'weight-decay': {
      type: 'number',
      description: 'Weight decay, not applied to biases and normalisation',
      default: ({ optimizer }) => (optimizer === 'adamw' ? 0.05 : 0.0005),
      defaultText: '0.0005 for sgd, 0.05 for adamw',
      range: { min: 0, max: 10 },
      fixed: true,
    },
    'layer-decay': {
      type: 'number',
      description: `Factor on the learning rate of each layer of ${TRANSFORMERS} to that behind it, 1: the same for all`,
      default: 1,
      range: { above: 0, max: 1 },
      fixed: true,
    },
    momentum: { type: 'number', description: 'Momentum of sgd', default: 0.9, range: { min: 0, below: 1 }, fixed: true },
    nesterov: { type: 'boolean', description: 'Momentum of Nesterov in sgd; --no-nesterov for the plain one', default: true, fixed: true },
    precision: {
      type: 'string',
      description: 'How activations and their gradients are stored; f16 takes half of the memory, and calculates in f32 all the same',
      choices: ['f32', 'f16'],
      default: 'f32',
      fixed: true,
    },
    'clip-norm': {
      type: 'number',
      description: 'Largest norm of the whole gradient, 0: not clipped',
      default: 0,
      range: { min: 0, max: 1e9 },
      fixed: true,
    },
    ema: {
      type: 'number',
      description: 'Decay per step of the weight average that is evaluated, 0: none, but 0.999 for paradigms that learn from it',
      default: 0,
      range: { min: 0, below: 1 },
      fixed: true,
    },
  }),
  ...grouped('Run:', {
    out: { type: 'string', description: 'Folder of the run', defaultText: 'runs/<date-time>-<paradigm>-<model>-s<seed>' },
    seed: {
      type: 'number',
      description: 'Seed of weights, order, augmentation and generated faces',
      default: 0,
      range: { integer: true, min: 0, max: MAX_SEED },
      fixed: true,
    },
    resume: {
      type: 'string',
      description: 'Folder of a run to continue, with its options; only its length, --data, --adapter and the like may be changed',
      defaultText: 'none',
    },
    'checkpoint-every': {
      type: 'number',
      description: 'Steps between checkpoints, 0: at the end of each epoch',
      default: 0,
      range: { integer: true, min: 0, max: 1e9 },
    },
    config: { type: 'string', description: 'JSON file with any of these options; the command line wins', defaultText: 'none' },
    recompute: {
      type: 'boolean',
      description:
        'Take less memory: in the backward pass repeat cheap kernels rather than keep what they wrote; the same results, a little later',
      default: false,
    },
    'faces-memory': {
      type: 'number',
      description: 'MiB of GPU memory for training faces; if they are more, batches are streamed, with the same results',
      default: 2048,
      range: { min: 0, max: 1e9 },
    },
    adapter: { type: 'string', description: ADAPTER, defaultText: 'the fastest found' },
    unsafe: {
      type: 'boolean',
      description: "Leave out the driver's bounds checks (Dawn's disable_robustness): faster, and wrong indices are not caught",
      default: false,
    },
  }),
};

const SHARED = {
  checkpoint: { type: 'string', description: 'Best on the validation split, or last', choices: ['best', 'last'], default: 'best' },
  json: { type: 'boolean', description: 'Print one JSON object', default: false },
  adapter: { type: 'string', description: ADAPTER, defaultText: 'the fastest found' },
} as const;

const EVALUATE_TABLE = grouped('Options:', {
  data: { type: 'string', description: DATA, defaultText: 'what the run was trained on' },
  split: { type: 'string', description: 'Which faces of the dataset', choices: ['train', 'validation', 'test'], default: 'test' },
  batch: { type: 'number', description: 'Faces per step', default: 64, range: { integer: true, min: 1, max: 8192 } },
  temperature: {
    type: 'string',
    description: 'fit: one number by which all logits are divided, fitted on the votes of the validation faces',
    choices: ['none', 'fit'],
    default: 'none',
  },
  corruptions: {
    type: 'string',
    description: 'Measure under these corruptions too: all, or names with commas between them',
    notes: [CORRUPTION_NAMES.join(', ')],
    defaultText: 'none',
  },
  severities: { type: 'string', description: 'Of the corruptions, from 1 to 5: a range, or a list as 1,3,5', default: '1..5' },
  out: {
    type: 'string',
    description: 'Folder for evaluation.json and pictures',
    defaultText: 'the folder evaluation in that of the run with --corruptions, else nothing is written',
  },
  'per-face': { type: 'boolean', description: 'Put the probabilities and votes of every face into the JSON', default: false },
  ...SHARED,
});

/** Of train, what is not the same for all runs of a comparison. */
const OF_ONE_RUN = ['preset', 'paradigm', 'set', 'seed', 'out', 'resume', 'config', 'checkpoint-every'] as const;
const COMMON = without(TRAIN_TABLE, OF_ONE_RUN);

const COMPARE_TABLE = {
  ...grouped('What to compare:', {
    paradigms: {
      type: 'string',
      description: 'Names with commas between them, the baseline first; with other constants as in moue:teacher=0.3:agreement=1',
      notes: [PARADIGMS.join(', ')],
      default: 'one-hot,distribution,moue',
    },
    seeds: { type: 'number', description: 'Runs of each, with seeds from 0', default: 3, range: { integer: true, min: 1, max: 1000 } },
    out: { type: 'string', description: 'Folder of the runs, tables and report; given again, it is completed', default: 'runs/comparison' },
    split: {
      type: 'string',
      description: 'Faces to compare on: validation to choose among variations, test once for what was chosen',
      choices: ['validation', 'test'],
      default: 'test',
    },
    corruptions: {
      type: 'string',
      description: 'Test under these corruptions too: all, or names with commas between them',
      defaultText: 'none',
    },
    severities: { type: 'string', description: 'Of the corruptions, from 1 to 5: a range, or a list as 1,3,5', default: '1..5' },
    jobs: {
      type: 'number',
      description: 'Runs at a time',
      defaultText: '2 on a software adapter, else 1',
      range: { integer: true, min: 1, max: 64 },
    },
  }),
  ...COMMON,
  // The same for all: some paradigms learn from averaged weights and are evaluated with them.
  ema: { ...COMMON.ema, default: 0.999 },
};

/** The table without some options. */
function without<Table extends OptionTable, Name extends keyof Table>(table: Table, names: readonly Name[]): Omit<Table, Name> {
  return Object.fromEntries(Object.entries(table).filter(([name]) => !names.includes(name as Name))) as Omit<Table, Name>;
}

/** Some options of the table, in the order of `names`. */
function only<Table extends OptionTable, Name extends keyof Table & string>(table: Table, names: readonly Name[]): Pick<Table, Name> {
  return Object.fromEntries(names.map((name) => [name, table[name]])) as Pick<Table, Name>;
}

const PRETRAIN_TABLE = {
  ...grouped('What to learn from:', {
    data: {
      type: 'string',
      description: `One or more, with commas between them or each behind --data: ${DATA}; annotations are not looked at`,
      default: GENERATED,
      list: true,
    },
  }),
  ...only(TRAIN_TABLE, ['faces', 'limit', 'validation-share', 'size', 'channels']),
  ...grouped('Model:', {
    model: {
      type: 'string',
      description: 'Vision transformer that becomes the encoder',
      choices: Object.keys(VISION_TRANSFORMERS) as VisionTransformerName[],
      default: 'vit',
      fixed: true,
    },
    width: TRAIN_TABLE.width,
    patch: { ...TRAIN_TABLE.patch, description: 'Side of the patches in pixels; 0: an eighth of faces below 96 pixels, else 16' },
    mask: {
      type: 'number',
      description: 'Share of the patches of a face that are hidden from the encoder',
      default: maskedImages.constants.hidden.value,
      range: { above: 0, below: 1 },
      fixed: true,
    },
    'decoder-depth': {
      type: 'number',
      description: 'Blocks of the decoder, which is half as wide as the encoder and not kept',
      default: maskedImages.constants.decoderDepth.value,
      range: { integer: true, min: 1, max: 64 },
      fixed: true,
    },
  }),
  ...grouped('Optimisation:', {
    epochs: {
      ...TRAIN_TABLE.epochs,
      default: ({ data }) => (data === GENERATED ? 20 : 200),
      defaultText: '200, but 20 for generated faces',
    },
    steps: TRAIN_TABLE.steps,
    batch: { ...TRAIN_TABLE.batch, default: 256 },
    'learning-rate': {
      ...TRAIN_TABLE['learning-rate'],
      description: 'Highest learning rate, to which a warm-up leads and from which half a cosine leads to 0',
      default: ({ batch }) => (1.5e-4 * Number(batch)) / 256,
      defaultText: '0.00015 for each 256 faces of a batch',
    },
    'warmup-epochs': {
      ...TRAIN_TABLE['warmup-epochs'],
      default: ({ epochs }) => Number(epochs) / 20,
      defaultText: 'a twentieth of --epochs',
    },
    'weight-decay': { ...TRAIN_TABLE['weight-decay'], default: 0.05, defaultText: '0.05' },
    'clip-norm': TRAIN_TABLE['clip-norm'],
  }),
  ...only(TRAIN_TABLE, ['out', 'seed', 'resume', 'checkpoint-every', 'config', 'recompute', 'faces-memory', 'adapter', 'unsafe']),
  out: { ...TRAIN_TABLE.out, defaultText: 'runs/<date-time>-pretrain-<model>-s<seed>' },
  seed: { ...TRAIN_TABLE.seed, description: 'Seed of weights, order, crops, hidden patches and generated faces' },
};

const PREDICT_TABLE = grouped('Options:', {
  explain: {
    type: 'string',
    description: 'File for a picture (PNG) of where in the faces each expression was read',
    defaultText: 'none',
  },
  ...SHARED,
});

const { data, faces, 'leave-out': leaveOut, 'validation-share': validationShare, size, channels, seed } = TRAIN_TABLE;
const INSPECT_TABLE = grouped('Options:', {
  data,
  faces,
  'leave-out': leaveOut,
  'validation-share': validationShare,
  size,
  channels,
  seed,
  out: { type: 'string', description: 'Folder of the pictures and of the list of problems', defaultText: 'runs/inspect-<name>' },
  json: SHARED.json,
});

/** Options by their names in camel case: `--learning-rate` is `learningRate`. */
export type TrainOptions = OptionsOf<typeof TRAIN_TABLE>;
export type PretrainOptions = OptionsOf<typeof PRETRAIN_TABLE>;
export type EvaluateOptions = OptionsOf<typeof EVALUATE_TABLE> & { run: string };

/** A paradigm, perhaps with other constants than its own. */
export interface Variation {
  /** Tells it from the others, also as part of a file name. */
  label: string;
  paradigm: ParadigmName;
  /** As for --set. */
  set: string | undefined;
}

export interface CompareOptions {
  variations: Variation[];
  seeds: number;
  out: string;
  split: 'validation' | 'test';
  corruptions: string | undefined;
  severities: string;
  /** Runs at a time; by default it follows from the adapter. */
  jobs: number | undefined;
  /** Of all runs, with the paradigm and seed of the first. */
  training: TrainOptions;
}

export type InspectOptions = OptionsOf<typeof INSPECT_TABLE>;
export type PredictOptions = OptionsOf<typeof PREDICT_TABLE> & { run: string; images: string[] };

const TRAIN: CommandLine = {
  command: 'train',
  positionals: '',
  table: TRAIN_TABLE,
  usage: 'Trains a model of facial expressions from the votes of annotators.',
};
const PRETRAIN: CommandLine = {
  command: 'pretrain',
  positionals: '',
  table: PRETRAIN_TABLE,
  usage:
    'Trains the encoder of a vision transformer on faces alone, as a masked autoencoder: hidden patches are to be told from the others.',
};
const EVALUATE: CommandLine = {
  command: 'evaluate',
  positionals: 'RUN',
  table: EVALUATE_TABLE,
  usage: 'Measures the model of a run on a split of a dataset: accuracy, calibration, agreement with the annotators, robustness.',
};
const PREDICT: CommandLine = {
  command: 'predict',
  positionals: 'RUN face.png…',
  table: PREDICT_TABLE,
  usage: 'Prints the probability of each expression for images of faces, and the entropy of these probabilities.',
};

const COMPARE: CommandLine = {
  command: 'compare',
  positionals: '',
  table: COMPARE_TABLE,
  usage: 'Trains several paradigms with several seeds under the same options, tests them alike, and reports.',
};

/** What openDataset has to know, from the options of a command. */
export function datasetOptions(
  options: Pick<TrainOptions, 'seed' | 'validationShare' | 'size' | 'channels' | 'faces'> & { leaveOut?: string | undefined },
  onProgress?: DatasetOptions['onProgress'],
): DatasetOptions {
  const { seed, validationShare, size, channels, faces, leaveOut } = options;
  const names = leaveOut?.split(',').map((name) => name.trim());
  return { seed, validationShare, size, channels, count: faces, ...(names && { leaveOut: names }), ...(onProgress && { onProgress }) };
}

/** What a model has to know, from the options of train. */
export function modelOptions({ width, dropout, patch, pooling, dropPath, probe }: TrainOptions, classes: number): ModelOptions {
  return { classes, width, dropout, pooling, dropPath, probe, ...(patch > 0 && { patch }) };
}

/** @throws UsageError for an option that `model` does not have. */
export function requireOptionsOf(model: ModelName, { patch, pooling, dropPath, layerDecay }: TrainOptions): void {
  if (isVisionTransformer(model)) return;
  const given = {
    '--patch': patch !== 0,
    '--pooling': pooling !== 'token',
    '--drop-path': dropPath !== 0,
    '--layer-decay': layerDecay !== 1,
  };
  const [field] = Object.entries(given).find(([, isGiven]) => isGiven) ?? [];
  if (!field) return;
  const remedy = `Leave it out, or choose --model ${Object.keys(VISION_TRANSFORMERS).join(' or ')}.`;
  throw new UsageError(`${model} is no vision transformer, which alone has this option`, remedy, { field });
}

/** Names that say how a run was started, not what it is. */
const NOT_IN_CONFIG = ['config', 'resume', 'out'];

const INSPECT: CommandLine = {
  command: 'faces',
  positionals: 'inspect',
  table: INSPECT_TABLE,
  usage: 'Prints and draws what is in a dataset: faces, classes, votes, copies, and images that cannot be read.',
};

/**
 * Options of train: the command line before the --config file, that before the --preset, that before the config of the run to --resume, that before the
 * defaults.
 * @throws UsageError for anything unknown, of a wrong type, out of range, or other than the resumed run's.
 */
export function parseTrainOptions(args: readonly string[]): TrainOptions {
  const given = optionsOfRun(TRAIN, args);
  const options = completeOptions(TRAIN_TABLE, given);
  if (!given.resume) checkTeacher([options.paradigm], options.teacher);
  return options;
}

/** Options of pretrain, as those of train. */
export function parsePretrainOptions(args: readonly string[]): PretrainOptions {
  return completeOptions(PRETRAIN_TABLE, optionsOfRun(PRETRAIN, args));
}

function optionsOfRun(commandLine: CommandLine, args: readonly string[]): GivenOptions {
  const { command, table } = commandLine;
  const { given, positionals } = parseArguments(commandLine, args);
  if (positionals.length > 0)
    throw new UsageError(`${command} takes options only`, `Write it as an option, as --data ${positionals[0]}, or leave it out.`, {
      field: positionals[0],
    });
  const written = { ...(given.config ? readRunFile(table, String(given.config)) : {}), ...given };
  const asked = { ...presetOf(written.preset), ...written };
  const begun = asked.resume ? readRunConfig(commandLine, String(asked.resume), asked) : {};
  return { ...begun, ...asked };
}

/** @throws UsageError where a paradigm lacks the earlier runs that it learns from, and where some are given that none learns from. */
function checkTeacher(names: readonly ParadigmName[], teacher: string | undefined): void {
  const learner = names.find((name) => paradigms[name].learnsFromRuns);
  if (learner && teacher === undefined) {
    throw new UsageError(`${learner} learns from earlier runs`, 'Name them: --teacher RUN, or --teacher RUN,RUN,… for their mean.', {
      field: '--teacher',
    });
  }
  if (!learner && teacher !== undefined) {
    throw new UsageError(
      `${names.join(', ')} ${names.length > 1 ? 'learn' : 'learns'} from no earlier runs`,
      `Leave --teacher out, or choose ${PARADIGMS.filter((name) => paradigms[name].learnsFromRuns).join(' or ')}.`,
      { field: '--teacher' },
    );
  }
}

function presetOf(name: OptionValue | undefined): GivenOptions {
  return typeof name === 'string' && Object.hasOwn(PRESETS, name) ? PRESETS[name as PresetName].options : {};
}

/** The content of a run's config.json: a file for --config that repeats the run. */
export function trainConfig(options: TrainOptions): GivenOptions {
  return configOf(TRAIN_TABLE, options, NOT_IN_CONFIG);
}

export function pretrainConfig(options: PretrainOptions): GivenOptions {
  return configOf(PRETRAIN_TABLE, options, NOT_IN_CONFIG);
}

/** The options an earlier run was trained with. @throws UsageError when its config.json was damaged or is of another version. */
export function trainOptionsOf(run: RunFolder): TrainOptions {
  return completeOptions(TRAIN_TABLE, givenOf(TRAIN, run));
}

/** The config of a run of this command. @throws UsageError as above, RunError where another command made it */
function givenOf({ command, table }: CommandLine, run: RunFolder): GivenOptions {
  const config = run.readConfig();
  const maker = 'mask' in config ? PRETRAIN.command : TRAIN.command;
  if (maker !== command)
    throw new RunError(`was made by ${maker}, and a run of ${command} is wanted`, `Give the folder of a run of ${command}.`, {
      file: run.path,
    });
  return checkConfig(table, config, `${run.path}/config.json`);
}

/** The options in a config file, with the defaults of those that it does not have. @throws UsageError for what is no config of train. */
export function readTrainOptions(path: string): TrainOptions {
  return completeOptions(TRAIN_TABLE, readRunFile(TRAIN_TABLE, path));
}

export function parseEvaluateOptions(args: readonly string[]): EvaluateOptions {
  const { given, positionals } = parseArguments(EVALUATE, args);
  const [run, ...rest] = positionals;
  if (run === undefined || rest.length > 0)
    throw new UsageError(
      `evaluate takes one run, ${positionals.length} were given`,
      'Write node dist/evaluate.js RUN, with the folder of the run.',
    );
  return { ...completeOptions(EVALUATE_TABLE, given), run };
}

/** @throws UsageError for anything unknown, of a wrong type or out of range, and for a paradigm named twice. */
export function parseCompareOptions(args: readonly string[]): CompareOptions {
  const { given, positionals } = parseArguments(COMPARE, args);
  if (positionals.length > 0)
    throw new UsageError('compare takes options only', `Write --paradigms ${positionals[0]}, or leave it out.`, { field: positionals[0] });
  const { paradigms: names, seeds, out, split, corruptions, severities, jobs, ...common } = completeOptions(COMPARE_TABLE, given);
  const variations = names.split(',').map((text) => parseVariation(text.trim()));
  const twice = variations.find(({ label }, i) => variations.findIndex((other) => other.label === label) < i);
  if (twice) throw new UsageError(`${twice.label} is named twice`, 'Name each paradigm once.', { field: '--paradigms' });
  checkTeacher(
    variations.map(({ paradigm }) => paradigm),
    common.teacher,
  );
  const training = { ...completeOptions(TRAIN_TABLE, { paradigm: variations[0].paradigm }), ...common };
  return { variations, seeds, out, split, corruptions, severities, jobs, training };
}

/** 'moue:teacher=0:agreement=1' as a paradigm with constants. */
function parseVariation(text: string): Variation {
  const [name, ...settings] = text.split(':');
  if (!(PARADIGMS as string[]).includes(name)) {
    const nearest = nearestName(name, PARADIGMS);
    throw new UsageError(
      `there is no paradigm '${name}'`,
      `${nearest ? `Did you mean ${nearest}? ` : ''}Give some of ${PARADIGMS.join(', ')}.`,
      {
        field: '--paradigms',
      },
    );
  }
  const paradigm = name as ParadigmName;
  const set = settings.length > 0 ? settings.join(',') : undefined;
  constantsOf(paradigm, set ?? '');
  return { label: [name, ...settings].join('+'), paradigm, set };
}

/** How evaluate would measure a run if nothing else were asked for. */
export function evaluateDefaults(run: string): EvaluateOptions {
  return { ...completeOptions(EVALUATE_TABLE, {}), run };
}

export function parsePredictOptions(args: readonly string[]): PredictOptions {
  const { given, positionals } = parseArguments(PREDICT, args);
  const [run, ...images] = positionals;
  if (images.length === 0) throw new UsageError('predict takes a run and at least one image', 'Write node dist/predict.js RUN face.png.');
  return { ...completeOptions(PREDICT_TABLE, given), run, images };
}

export function parseInspectOptions(args: readonly string[]): InspectOptions {
  const { given, positionals } = parseArguments(INSPECT, args);
  if (positionals.join() !== 'inspect') {
    throw new UsageError(
      positionals.length === 0 ? 'there is no word for what to do' : `'${positionals.join(' ')}' is not what can be done`,
      'Write node dist/faces.js inspect --data PATH.',
    );
  }
  return completeOptions(INSPECT_TABLE, given);
}

function readRunFile(table: OptionTable, path: string): GivenOptions {
  const config = readConfigFile(table, path);
  if ('config' in config)
    throw new UsageError('a config file cannot name another', 'Give --config on the command line.', { file: path, field: 'config' });
  return config;
}

/** Config of the run to resume, after a check that `asked` does not make another run of it. */
function readRunConfig(commandLine: CommandLine, resume: string, asked: GivenOptions): GivenOptions {
  const { table } = commandLine;
  const run = RunFolder.open(resume);
  if (asked.out !== undefined && resolve(String(asked.out)) !== resolve(resume)) {
    throw new UsageError('a resumed run stays in its folder', 'Leave out --out, or copy the folder and resume the copy.', {
      field: '--out',
    });
  }
  const full = configOf(table, completeOptions(table, givenOf(commandLine, run)));
  for (const [name, value] of Object.entries(asked)) {
    const isFixed = table[name].fixed;
    if (isFixed && value !== full[name] && full[name] !== 'auto' && value !== 'auto') {
      throw new UsageError(
        `the run to resume has ${full[name] ?? 'none'}, not ${value}`,
        `Leave out --${name}, or start a new run without --resume.`,
        { field: `--${name}` },
      );
    }
  }
  return full;
}
