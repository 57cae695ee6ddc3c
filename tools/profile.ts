/** Where the time of a training step goes, and what the adapter could do at best: `node dist/tools/profile.js --help`. */
import { pathToFileURL } from 'node:url';
import { UsageError } from '#src/errors.js';
import { openGpu } from '#src/gpu/dawn.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { type ModelName, models } from '#src/nn/models.js';
import { OPTIMIZER_DEFAULTS } from '#src/optim/optimizer.js';
import { paradigms } from '#src/paradigms/index.js';
import { uniform } from '#src/random.js';
import { runCommand } from '#src/run/command.js';
import { Learner } from '#src/run/learner.js';
import { completeOptions, grouped, type OptionsOf, parseArguments } from '#src/run/option-table.js';
import { AUGMENTATIONS } from '#src/tensor/ops/augment.js';
import { tuningFor } from '#src/tensor/ops/families.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import { formatLimits, type Limits, measureLimits, median } from './limits.js';
import { parseOperatorOptions, parseShapes, recordOperator } from './operators.js';
import { formatRows, type TimedLaunch, tabulate, timeLaunches, totalRow } from './step-profile.js';
import { type Span, writeTrace } from './trace.js';

const CLASSES = 8;

const OPTIONS = {
  ...grouped('What to profile:', {
    model: {
      type: 'string',
      description: 'A training step of this network',
      choices: Object.keys(models) as ModelName[],
      default: 'small',
    },
    batch: { type: 'number', description: 'Faces per step', default: 64, range: { integer: true, min: 1, max: 8192 } },
    size: { type: 'number', description: 'Side of the faces in pixels', default: 48, range: { integer: true, min: 16, max: 512 } },
    channels: { type: 'number', description: '1: grey, 3: RGB', choices: [1, 3], default: 1 },
    width: { type: 'number', description: 'Factor on the channels of every layer', default: 1, range: { above: 0, max: 16 } },
    optimizer: { type: 'string', description: 'Update rule', choices: ['sgd', 'adamw'], default: 'sgd' },
    shader: {
      type: 'string',
      description: 'Instead of a step, this shader alone (or all that begin so), as conv2d_forward',
      defaultText: 'none',
    },
    shape: { type: 'string', description: "Shapes of the shader's operator, as 32x24x24x64,3x3x64x64", defaultText: 'none' },
    options: { type: 'string', description: 'Options of that operator, as stride=2,padding=1', defaultText: 'none' },
  }),
  ...grouped('How:', {
    steps: { type: 'number', description: 'Runs of which the medians are taken', default: 5, range: { integer: true, min: 1, max: 1000 } },
    by: {
      type: 'string',
      description: 'Rows of the table: launches are told apart by their shapes',
      choices: ['shader', 'launch'],
      default: 'shader',
    },
    json: { type: 'boolean', description: 'Print one JSON object', default: false },
    trace: { type: 'string', description: 'File for Perfetto or chrome://tracing', defaultText: 'none' },
    adapter: { type: 'string', description: "Part of the adapter's name, or 'software'", defaultText: 'the fastest found' },
    unsafe: { type: 'boolean', description: "Leave out the driver's bounds checks", default: false },
  }),
} as const;
export type ProfileOptions = OptionsOf<typeof OPTIONS>;

/** What was measured of one program. */
export interface Profile {
  title: string;
  launches: TimedLaunch[];
  /** From the start of a step to the end of its last launch, without timestamps; absent for a shader alone. */
  stepMs?: number;
  /** Of that, the time in which JavaScript was busy. */
  hostMs?: number;
  /** Most bytes on the device at once, and those of them that the program planned for what dies within it. */
  peakBytes: number;
  plannedBytes: number;
}

export async function profileStep(gpu: Gpu, options: ProfileOptions): Promise<Profile> {
  const { model, batch, size, channels, width, optimizer, steps } = options;
  const extent = { height: size, width: size, channels };
  const faces = Math.max(batch, 64);
  const pixels = Uint8Array.from({ length: faces * size * size * channels }, (_, i) => 256 * uniform(0, 0, i));
  const learner = await Learner.create(gpu, pixels, {
    model,
    modelOptions: { classes: CLASSES, width, dropout: model === 'vgg13' ? 0.5 : 0 },
    paradigm: paradigms['ferplus-crossentropy'],
    constants: {},
    lesson: { faces: Uint32Array.from({ length: faces }, (_, i) => i), targets: new Float32Array(faces * CLASSES).fill(1 / CLASSES) },
    optimizer: OPTIMIZER_DEFAULTS[optimizer],
    ema: 0,
    batch,
    seed: 0,
    source: extent,
    input: extent,
    augment: AUGMENTATIONS.ferplus,
  });
  const visit = {
    epoch: 0,
    learningRate: 1e-3,
    progress: { epoch: 0, epochs: 1 },
    rows: Uint32Array.from({ length: batch }, (_, i) => i),
  };
  const stepMs: number[] = [];
  const hostMs: number[] = [];
  for (let step = 0; step <= steps; step++) {
    const start = performance.now();
    const result = learner.step({ step, ...visit });
    const submitted = performance.now();
    await gpu.wait(result);
    if (step === 0) continue; // compiled its shaders
    stepMs.push(performance.now() - start);
    hostMs.push(submitted - start);
  }
  const launches = await timeLaunches(learner.program, steps);
  const profile = {
    title: `${model}: a training step on ${batch} faces of ${size}×${size}×${channels}`,
    launches,
    stepMs: median(stepMs),
    hostMs: median(hostMs),
    peakBytes: gpu.counters.peakBytes,
    plannedBytes: learner.program.memory.peakBytes,
  };
  learner.destroy();
  return profile;
}

export async function profileShader(gpu: Gpu, { shader = '', shape, options, steps }: ProfileOptions): Promise<Profile> {
  if (!shape)
    throw new UsageError('--shader needs the shapes of its operator', 'Give them as --shape 32x24x24x64,3x3x64x64.', { field: '--shape' });
  const tape = new Tape(Object.create(gpu, { tuning: { value: tuningFor(shader) } }) as Gpu, { training: true });
  const { inputs, gradient } = recordOperator(tape, shader, parseShapes(shape), options ? parseOperatorOptions(options) : {});
  const wanted = tape.launches.filter((launch) => launch.shader.name.startsWith(shader));
  if (wanted.length === 0) {
    const launched = [...new Set(tape.launches.map((launch) => launch.shader.name))].join(', ');
    throw new UsageError(`'${shader}' does not run for these shapes`, `What runs: ${launched}.`, { field: '--shader' });
  }
  const program = await Program.compile(gpu, tape);
  for (const [stream, tensor] of [...inputs, gradient].entries()) {
    program.write(
      tensor,
      Float32Array.from({ length: tensor.size }, (_, i) => 2 * uniform(0, stream, i) - 1),
    );
  }
  const all = await timeLaunches(program, steps);
  const launches = all.filter((_, i) => wanted.includes(tape.launches[i]));
  const profile = {
    title: `${shader} of ${shape}${options ? ` with ${options}` : ''}`,
    launches,
    peakBytes: gpu.counters.peakBytes,
    plannedBytes: program.memory.peakBytes,
  };
  program.destroy();
  return profile;
}

export function formatProfile(
  { title, launches, stepMs, hostMs, peakBytes, plannedBytes }: Profile,
  limits: Limits,
  by: ProfileOptions['by'],
): string {
  const all = totalRow(launches, limits);
  const lines = [title, ''];
  if (stepMs !== undefined && hostMs !== undefined) {
    lines.push(`step            ${stepMs.toFixed(1)} ms, of which ${hostMs.toFixed(2)} ms in JavaScript`);
  }
  lines.push(
    `launches        ${all.timeMs.toFixed(1)} ms, each alone with its timestamps`,
    `work            ${(launches.reduce((sum, { flops }) => sum + flops, 0) / 1e9).toFixed(2)} GFLOP`,
    `memory          ${mebibytes(peakBytes)} at most, ${mebibytes(plannedBytes)} of it for activations and their gradients`,
    '',
    formatRows([...tabulate(launches, limits, by), all], by),
    '',
    'Limits of the adapter:',
    formatLimits(limits),
  );
  return lines.join('\n');
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** One run of the launches, end to end: their times are known, the gaps between them are not. */
export function spansOf(launches: readonly TimedLaunch[]): Span[] {
  let startMs = 0;
  return launches.map(({ shader, label, timeMs, flops, bytes, groups }) => {
    const span = { track: 'GPU', name: shader, startMs, timeMs, details: { launch: label, flops, bytes, groups: groups.join('×') } };
    startMs += timeMs;
    return span;
  });
}

async function main(args: string[]): Promise<void> {
  const commandLine = {
    command: 'tools/profile',
    usage: 'Times every launch of a training step, or of one shader, and sets it against the limits of the adapter.',
    positionals: '',
    table: OPTIONS,
  };
  const { given, positionals } = parseArguments(commandLine, args);
  if (positionals.length > 0)
    throw new UsageError('profile takes options only', 'Leave it out, or write it as an option.', { field: positionals[0] });
  const options = completeOptions(OPTIONS, given);
  const gpu = await openGpu({ adapter: options.adapter, unsafe: options.unsafe, tuned: true });
  const profile = await (options.shader ? profileShader(gpu, options) : profileStep(gpu, options));
  const limits = await measureLimits(gpu);
  if (options.trace) writeTrace(options.trace, `${profile.title} on ${gpu.adapter.description}`, spansOf(profile.launches));
  if (options.json) {
    const { launches, ...rest } = profile;
    const rows = tabulate(launches, limits, options.by);
    process.stdout.write(`${JSON.stringify({ adapter: gpu.adapter, ...rest, limits, total: totalRow(launches, limits), rows })}\n`);
  } else {
    process.stdout.write(`${gpu.adapter.description}\n${formatProfile(profile, limits, options.by)}\n`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runCommand(main);
