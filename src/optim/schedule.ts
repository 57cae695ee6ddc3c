import { UsageError } from '../errors.js';

/** How far training has come. Steps and epochs count from 0; `epoch` is fractional: step / steps per epoch. */
export interface Progress {
  step: number;
  epoch: number;
  totalSteps: number;
  totalEpochs: number;
}

/** The learning rate of a step. Pure, so that a resumed run continues exactly. */
export type Schedule = (progress: Progress) => number;

/** From `epoch` on, the learning rate is `factor` times the base rate. */
export interface Milestone {
  epoch: number;
  factor: number;
}

/**
 * A schedule as a config file holds it. `warmupEpochs` (default 0) lead linearly up to `rate` before the rest of the schedule
 * begins; `floor` (default 0) is the rate at the end, `factor` multiplies the rate after each epoch.
 */
export type ScheduleConfig = { rate: number; warmupEpochs?: number } & (
  | { kind: 'constant' }
  | { kind: 'cosine'; floor?: number }
  | { kind: 'step'; milestones: Milestone[] }
  | { kind: 'exponential'; factor: number }
);

export function constant(rate: number): Schedule {
  return () => rate;
}

/**
 * Half a cosine from `rate` at the first step to `floor` after the last (Loshchilov & Hutter 2017, equation 5, without restarts).
 */
export function cosine(rate: number, floor = 0): Schedule {
  return ({ step, totalSteps }) => floor + 0.5 * (rate - floor) * (1 + Math.cos(Math.PI * Math.min(1, step / Math.max(1, totalSteps))));
}

/**
 * The rate times the factor of the latest milestone reached. Milestones in any order; before the first the factor is 1. FER+
 * takes 0.05, half of it from epoch 20, a tenth from epoch 40.
 */
export function steps(rate: number, milestones: readonly Milestone[]): Schedule {
  const descending = milestones.toSorted((a, b) => b.epoch - a.epoch);
  return ({ epoch }) => rate * (descending.find((milestone) => epoch >= milestone.epoch)?.factor ?? 1);
}

/** The rate times factor^e in the epoch e = 0, 1, … */
export function exponential(rate: number, factor: number): Schedule {
  return ({ epoch }) => rate * factor ** Math.floor(epoch);
}

/**
 * A linear rise over the first `epochs`, from 1/n of the rate at the first of its n steps to all of it at the last. Cosines then
 * span the steps that remain; milestones keep counting from the start of training.
 */
export function warmup(epochs: number, schedule: Schedule): Schedule {
  return (progress) => {
    const { step, totalSteps, totalEpochs } = progress;
    const rising = Math.round((epochs * totalSteps) / totalEpochs);
    const rest = { ...progress, step: Math.max(0, step - rising), totalSteps: totalSteps - rising };
    return schedule(rest) * Math.min(1, (step + 1) / Math.max(1, rising));
  };
}

const KINDS: Record<ScheduleConfig['kind'], (rate: number, take: (name: string, fallback?: unknown) => unknown) => Schedule> = {
  constant: (rate) => constant(rate),
  cosine: (rate, take) => cosine(rate, number('floor', take('floor', 0))),
  step: (rate, take) => steps(rate, milestones(take('milestones'))),
  exponential: (rate, take) => exponential(rate, number('factor', take('factor'))),
};

/**
 * A schedule from a value of type ScheduleConfig that was read from a file.
 * @throws UsageError naming the field that is missing, wrong or unknown
 */
export function parseSchedule(config: unknown): Schedule {
  if (!isObject(config)) return fail('', 'is not an object', 'Give for example { "kind": "cosine", "rate": 0.05 }.');
  const { kind, ...fields } = config;
  if (typeof kind !== 'string' || !Object.hasOwn(KINDS, kind)) {
    return fail('kind', kind === undefined ? 'is missing' : `is ${JSON.stringify(kind)}`, `Choose ${Object.keys(KINDS).join(', ')}.`);
  }
  const left = new Map(Object.entries(fields));
  const take = (name: string, fallback?: unknown): unknown => {
    const value = left.has(name) ? left.get(name) : fallback;
    left.delete(name);
    return value;
  };
  const warmupEpochs = number('warmupEpochs', take('warmupEpochs', 0));
  const schedule = KINDS[kind as ScheduleConfig['kind']](number('rate', take('rate')), take);
  for (const name of left.keys()) fail(name, `is no field of a ${kind} schedule`, 'Remove it or correct its name.');
  return warmupEpochs > 0 ? warmup(warmupEpochs, schedule) : schedule;
}

function milestones(value: unknown): Milestone[] {
  const remedy = 'Give a list such as [{ "epoch": 20, "factor": 0.5 }].';
  if (!Array.isArray(value) || value.length === 0) return fail('milestones', 'is not a list of milestones', remedy);
  return value.map((milestone, i) => {
    const field = `milestones[${i}]`;
    if (!isObject(milestone)) return fail(field, 'is not an object', remedy);
    return { epoch: number(`${field}.epoch`, milestone.epoch), factor: number(`${field}.factor`, milestone.factor) };
  });
}

function number(field: string, value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  return fail(field, value === undefined ? 'is missing' : `is ${JSON.stringify(value)}`, 'Give a number, 0 or more.');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fail(field: string, message: string, remedy: string): never {
  throw new UsageError(message, remedy, { field: field ? `schedule.${field}` : 'schedule' });
}
