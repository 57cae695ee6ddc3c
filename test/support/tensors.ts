import type { Gpu } from '#src/gpu/gpu.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import { sizeOf, type Tensor } from '#src/tensor/tensor.js';

export interface TestInput {
  shape: number[];
  data: Float32Array | Uint32Array;
  differentiable?: boolean;
}
export type TestInputs = Record<string, TestInput>;
// biome-ignore lint/suspicious/noExplicitAny: the names of the inputs are the test's own
export type Build = (tape: Tape, inputs: any) => Tensor | Record<string, Tensor>;

interface RunOptions {
  /** Gradient of the single (or `output`) result, from which those of the differentiable inputs come back. */
  outputGradient?: Float32Array;
  training?: boolean;
  seed?: number;
  step?: number;
}

export interface RunResult {
  outputs: Record<string, Float32Array | Uint32Array>;
  gradients: Record<string, Float32Array>;
}

/** Numbers uniform in [-scale, scale], the same for a seed on every machine (mulberry32). */
export function randomArray(shape: number[], seed: number, scale = 1): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: sizeOf(shape) }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return (((word ^ (word >>> 14)) >>> 0) / 2 ** 31 - 1) * scale;
  });
}

interface Prepared {
  program: Program;
  inputs: Record<string, Tensor>;
  outputs: Record<string, Tensor>;
  gradients: Record<string, Tensor>;
}

async function prepare(
  gpu: Gpu,
  given: TestInputs,
  build: Build,
  { outputGradient, training = true, seed = 1, step = 0 }: RunOptions,
): Promise<Prepared> {
  const tape = new Tape(gpu, { training });
  const inputs: Record<string, Tensor> = {};
  for (const [name, { shape, data, differentiable }] of Object.entries(given)) {
    inputs[name] = tape.input(name, shape, data instanceof Uint32Array ? 'u32' : 'f32', differentiable ?? false);
  }
  const result = build(tape, inputs);
  const outputs: Record<string, Tensor> = 'dtype' in result ? { output: result as Tensor } : (result as Record<string, Tensor>);
  const gradients: Record<string, Tensor> = {};
  if (outputGradient) {
    const output = outputs.output!;
    tape.backward(output, tape.constant('output_gradient', output.shape, outputGradient));
    for (const [name, tensor] of Object.entries(inputs)) {
      const gradient = tensor.differentiable ? tape.gradient(tensor) : undefined;
      if (gradient) gradients[name] = gradient;
    }
  }
  const program = await Program.compile(gpu, tape, { keep: [...Object.values(outputs), ...Object.values(gradients)] });
  for (const [name, { data }] of Object.entries(given)) program.write(inputs[name], data);
  const state = new Uint32Array(tape.step.size);
  state[0] = seed;
  state[1] = step;
  program.write(tape.step, state);
  return { program, inputs, outputs, gradients };
}

async function readAll(program: Program, tensors: Record<string, Tensor>): Promise<Record<string, Float32Array | Uint32Array>> {
  const values: Record<string, Float32Array | Uint32Array> = {};
  for (const [name, tensor] of Object.entries(tensors)) values[name] = await program.read(tensor);
  return values;
}

/** Runs what `build` records once, and returns its results and, with `outputGradient`, the gradients. */
export async function runOp(gpu: Gpu, inputs: TestInputs, build: Build, options: RunOptions = {}): Promise<RunResult> {
  const { program, outputs, gradients } = await prepare(gpu, inputs, build, options);
  try {
    program.run();
    return { outputs: await readAll(program, outputs), gradients: (await readAll(program, gradients)) as Record<string, Float32Array> };
  } finally {
    program.destroy();
  }
}

/** NaN must meet NaN, an infinity the same infinity, a number |a − e| ≤ absolute + relative·|e|. */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { relative = 1e-5, absolute = 1e-6 } = {},
  what = 'values',
): void {
  if (actual.length !== expected.length) throw new Error(`${what}: ${actual.length} values, expected ${expected.length}`);
  let worst = -1;
  let worstExcess = 0;
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i];
    const e = expected[i];
    const equal = Object.is(a, e) || a === e || (Number.isNaN(a) && Number.isNaN(e));
    const finite = Number.isFinite(a) && Number.isFinite(e);
    const excess = equal ? 0 : finite ? Math.abs(a - e) / (absolute + relative * Math.abs(e)) : Number.POSITIVE_INFINITY;
    if (excess > worstExcess) {
      worstExcess = excess;
      worst = i;
    }
  }
  if (worstExcess > 1)
    throw new Error(
      `${what}[${worst}] is ${actual[worst]}, expected ${expected[worst]} (${worstExcess.toPrecision(3)} times the tolerance)`,
    );
}

interface GradientCheck {
  epsilon?: number;
  /** Of the difference, relative to the larger of the gradient's root mean square and the value. */
  tolerance?: number;
  /** Elements tried per input. */
  samples?: number;
  training?: boolean;
  /** Elements at a kink, where the derivative does not exist. */
  skip?: (input: string, index: number) => boolean;
}

/**
 * Central differences of a random contraction of the output, through the public tape, against the tape's gradients.
 * The contraction is summed in float64 on the host, so that only the operator's own rounding counts.
 */
export async function checkGradients(
  gpu: Gpu,
  given: TestInputs,
  build: Build,
  { epsilon = 1e-2, tolerance = 1e-2, samples = 12, training = true, skip }: GradientCheck = {},
): Promise<void> {
  const size = await outputSize(gpu, given, build, training);
  const outputGradient = randomArray([size], 99);
  const { program, inputs, outputs, gradients } = await prepare(gpu, given, build, { outputGradient, training });
  try {
    const output = outputs.output!;
    const contracted = async () => {
      program.run();
      const values = await program.read(output);
      return outputGradient.reduce((sum, gradient, i) => sum + values[i] * gradient, 0);
    };
    program.run();
    const analytic = (await readAll(program, gradients)) as Record<string, Float32Array>;
    let checked = 0;
    for (const [name, gradient] of Object.entries(analytic)) {
      const data = given[name].data as Float32Array;
      const scale = Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0) / gradient.length);
      const picks = new Set(Float32Array.from(randomArray([samples], 7), (value) => Math.floor(((value + 1) / 2) * data.length)));
      for (const index of picks) {
        if (index >= data.length || skip?.(name, index)) continue;
        const moved = data.slice();
        moved[index] = data[index] + epsilon;
        const width = moved[index] - data[index];
        program.write(inputs[name], moved);
        const above = await contracted();
        moved[index] = data[index] - epsilon;
        program.write(inputs[name], moved);
        const below = await contracted();
        const numeric = (above - below) / (width + data[index] - moved[index]);
        const value = gradient[index];
        const error = Math.abs(numeric - value) / Math.max(scale, Math.abs(value), 1e-6);
        if (!(error <= tolerance))
          throw new Error(
            `gradient of ${name}[${index}] is ${value}, central difference ${numeric} (error ${error.toPrecision(3)} > ${tolerance})`,
          );
        checked++;
      }
      program.write(inputs[name], data);
    }
    if (checked === 0) throw new Error('no gradient was checked');
  } finally {
    program.destroy();
  }
}

async function outputSize(gpu: Gpu, given: TestInputs, build: Build, training: boolean): Promise<number> {
  const tape = new Tape(gpu, { training });
  const inputs = Object.fromEntries(
    Object.entries(given).map(([name, { shape, data }]) => [name, tape.input(name, shape, data instanceof Uint32Array ? 'u32' : 'f32')]),
  );
  const result = build(tape, inputs);
  return ('dtype' in result ? (result as Tensor) : (result as Record<string, Tensor>).output!).size;
}
