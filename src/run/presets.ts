import type { GivenOptions } from './option-table.js';

/** A published set-up: the options that repeat it, and what its authors report. */
export interface Preset {
  options: GivenOptions;
  /** Test accuracy in the paper, as a share. */
  accuracy: number;
  /** Where it stands, and what is not the same here. */
  source: string;
}

const FERPLUS_VGG13: GivenOptions = {
  ...{ model: 'vgg13', size: 64, channels: 1, augment: 'ferplus', dropout: 0.5 },
  ...{
    epochs: 100,
    batch: 32,
    optimizer: 'sgd',
    'learning-rate': 0.05,
    schedule: 'step',
    'warmup-epochs': 0,
    momentum: 0.9,
    nesterov: false,
  },
  'weight-decay': 0,
};
const BARSOUM = 'Barsoum et al., ICMI 2016, table 1, mean of five runs';

/** Faces of 224×224 in colour, Adam with a rate that falls by a tenth each epoch. Weight decay is decoupled here. */
const RESNET18: GivenOptions = {
  ...{ model: 'resnet18', size: 224, channels: 3, augment: 'light' },
  ...{ batch: 64, optimizer: 'adamw', 'learning-rate': 0.001, schedule: 'exponential', 'warmup-epochs': 0, 'weight-decay': 0.0001 },
};
const FROM_SCRATCH = 'there on weights pretrained with faces, here from scratch';

export const PRESETS = {
  'ferplus-vgg13-majority': { options: { ...FERPLUS_VGG13, paradigm: 'ferplus-majority' }, accuracy: 0.8385, source: BARSOUM },
  'ferplus-vgg13-multi-target': { options: { ...FERPLUS_VGG13, paradigm: 'ferplus-multi-target' }, accuracy: 0.8397, source: BARSOUM },
  'ferplus-vgg13-probability': { options: { ...FERPLUS_VGG13, paradigm: 'ferplus-probability' }, accuracy: 0.8499, source: BARSOUM },
  'ferplus-vgg13-crossentropy': { options: { ...FERPLUS_VGG13, paradigm: 'ferplus-crossentropy' }, accuracy: 0.8472, source: BARSOUM },
  'ferplus-resnet18-scn': {
    options: { ...RESNET18, paradigm: 'scn', epochs: 70 },
    accuracy: 0.8935,
    source: `Wang et al., CVPR 2020; ${FROM_SCRATCH}`,
  },
  'rafdb-resnet18-scn': {
    options: { ...RESNET18, paradigm: 'scn', epochs: 70 },
    accuracy: 0.8814,
    source: `Wang et al., CVPR 2020; ${FROM_SCRATCH}`,
  },
  'rafdb-resnet18-rul': {
    options: { ...RESNET18, paradigm: 'rul', epochs: 60, 'learning-rate': 0.0002 },
    accuracy: 0.8898,
    source: `Zhang, Wang & Deng, NeurIPS 2021; ${FROM_SCRATCH}, and with one learning rate for all layers`,
  },
  'rafdb-resnet18-eac': {
    // The authors' advice for ResNet-18: twice the rate of their ResNet-50.
    options: { ...RESNET18, paradigm: 'eac', augment: 'strong', epochs: 60, batch: 32, 'learning-rate': 0.0002 },
    accuracy: 0.8999,
    source: `Zhang et al., ECCV 2022; ${FROM_SCRATCH}, and faces are varied by more than erasing`,
  },
  'rafdb-resnet18-ada-df': {
    options: { ...RESNET18, paradigm: 'ada-df', epochs: 75 },
    accuracy: 0.9004,
    source: `Liu et al., ICASSP 2023; ${FROM_SCRATCH}`,
  },
  'affectnet7-resnet18-ada-df': {
    options: { ...RESNET18, paradigm: 'ada-df', set: 'threshold=0.5,beta=5', epochs: 75 },
    accuracy: 0.6534,
    source: `Liu et al., ICASSP 2023; ${FROM_SCRATCH}`,
  },
} satisfies Record<string, Preset>;

export type PresetName = keyof typeof PRESETS;
