import { UsageError } from '#src/errors.js';
import { parseSchedule, type Schedule, warmup } from '#src/optim/schedule.js';
import { assert, rejects, suite } from '../support/suite.js';

/** The learning rates of all steps of a training. */
function rates(schedule: Schedule, epochs: number, stepsPerEpoch: number): number[] {
  const totalSteps = epochs * stepsPerEpoch;
  return Array.from({ length: totalSteps }, (_, step) => schedule({ step, epoch: step / stepsPerEpoch, totalSteps, totalEpochs: epochs }));
}

function close(actual: number, expected: number, what?: string): void {
  assert.ok(Math.abs(actual - expected) <= 1e-12 * Math.max(1, Math.abs(expected)), `${what ?? 'rate'} is ${actual}, expected ${expected}`);
}

suite('schedules', (test) => {
  test('a constant rate stays', () => {
    assert.equal(rates(parseSchedule({ kind: 'constant', rate: 0.3 }), 2, 2), [0.3, 0.3, 0.3, 0.3]);
  });

  test('a cosine falls from the rate over its middle to the floor', () => {
    const schedule = parseSchedule({ kind: 'cosine', rate: 0.5, floor: 0.1 });
    const at = (step: number) => schedule({ step, epoch: step / 10, totalSteps: 100, totalEpochs: 10 });
    close(at(0), 0.5);
    close(at(50), 0.3);
    close(at(25), 0.1 + 0.2 * (1 + Math.SQRT1_2));
    close(at(100), 0.1);
    close(at(120), 0.1, 'beyond the end');
  });

  test('warm-up rises linearly and is followed by a whole cosine', () => {
    const course = rates(parseSchedule({ kind: 'cosine', rate: 1, warmupEpochs: 2 }), 6, 5);
    for (let step = 0; step < 10; step++) close(course[step], (step + 1) / 10, `rate of step ${step}`);
    close(course[10], 1);
    close(course[20], 0.5);
    assert.ok(course[29] > 0 && course[29] < 0.01);
  });

  test('warm-up leaves milestones where they are, and may be longer than training', () => {
    const config = { kind: 'step', rate: 1, milestones: [{ epoch: 2, factor: 0.5 }] };
    assert.equal(rates(parseSchedule({ ...config, warmupEpochs: 1 }), 3, 2), [0.5, 1, 1, 1, 0.5, 0.5]);
    assert.equal(
      rates(
        warmup(4, () => 1),
        1,
        2,
      ),
      [1 / 8, 2 / 8],
    );
  });

  test('milestones are those of FER+, whatever their order', () => {
    const milestones = [
      { epoch: 40, factor: 0.1 },
      { epoch: 20, factor: 0.5 },
    ];
    const course = rates(parseSchedule({ kind: 'step', rate: 0.05, milestones }), 100, 3);
    course.forEach((rate, step) => {
      close(rate, step < 60 ? 0.05 : step < 120 ? 0.025 : 0.005, `rate of step ${step}`);
    });
  });

  test('an exponential changes once per epoch', () => {
    const course = rates(parseSchedule({ kind: 'exponential', rate: 2, factor: 0.9 }), 3, 4);
    course.forEach((rate, step) => {
      close(rate, 2 * 0.9 ** Math.floor(step / 4));
    });
  });

  test('a wrong config is refused by field', async () => {
    const refused: [unknown, ...string[]][] = [
      [undefined, 'schedule: is not an object'],
      [[], 'schedule: is not an object'],
      [{ rate: 1 }, 'schedule.kind: is missing', 'constant, cosine, step, exponential'],
      [{ kind: 'toString', rate: 1 }, 'schedule.kind: is "toString"'],
      [{ kind: 'cosine' }, 'schedule.rate: is missing'],
      [{ kind: 'cosine', rate: '0.1' }, 'schedule.rate: is "0.1"'],
      [{ kind: 'cosine', rate: -0.1 }, 'schedule.rate: is -0.1', '0 or more'],
      [{ kind: 'cosine', rate: 0.1, flour: 0 }, 'schedule.flour: is no field of a cosine schedule'],
      [{ kind: 'constant', rate: 0.1, floor: 0 }, 'schedule.floor: is no field of a constant schedule'],
      [{ kind: 'constant', rate: 0.1, warmupEpochs: null }, 'schedule.warmupEpochs: is null'],
      [{ kind: 'exponential', rate: 0.1 }, 'schedule.factor: is missing'],
      [{ kind: 'step', rate: 0.1 }, 'schedule.milestones: is not a list'],
      [{ kind: 'step', rate: 0.1, milestones: [] }, 'schedule.milestones: is not a list'],
      [{ kind: 'step', rate: 0.1, milestones: [20] }, 'schedule.milestones[0]: is not an object'],
      [{ kind: 'step', rate: 0.1, milestones: [{ epoch: 1, factor: 1 }, { epoch: 20 }] }, 'schedule.milestones[1].factor: is missing'],
    ];
    for (const [config, ...parts] of refused) await rejects(() => parseSchedule(config), UsageError, ...parts);
  });
});
