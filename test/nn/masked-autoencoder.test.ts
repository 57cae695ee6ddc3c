import { ShapeError } from '#src/errors.js';
import type { Gpu } from '#src/gpu/gpu.js';
import type { Scope } from '#src/nn/layers.js';
import {
  type HiddenPatches,
  hiddenPatches,
  normalisedPatches,
  PATCH_EPSILON,
  placedPatches,
  reconstructionError,
} from '#src/nn/masked-autoencoder.js';
import { backbones } from '#src/nn/models.js';
import { Parameters } from '#src/nn/parameters.js';
import { normal } from '#src/random.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import type { Tensor } from '#src/tensor/tensor.js';
import * as order from '../reference/token-order.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, checkGradients, randomArray, runOp } from '../support/tensors.js';

const MODEL = { classes: 1, width: 0.125, dropout: 0 };
const OPTIONS = { sizes: { headWidth: 64, heads: 2, depth: 2 }, model: MODEL, hidden: 0.75, decoderDepth: 1 };
/** Patches of 2×2. */
const [FACES, SIDE, TOKENS, PIXELS] = [3, 16, 64, 4];
const NUMBERS = Uint32Array.of(5, 0, 17);
const ORDER = order.randomOrder(NUMBERS, TOKENS, { seed: 0 });
const HIDDEN = 48;

/** The autoencoder over faces, with weights drawn at random. */
class Network {
  private readonly parameters = Parameters.create();

  record(tape: Tape, faces: Tensor, hidden = OPTIONS.hidden): HiddenPatches {
    const scope: Scope = { tape, parameters: this.parameters, path: '' };
    const numbers = tape.constant('numbers', [FACES], NUMBERS);
    return hiddenPatches({ encoder: scope, decoder: { ...scope, path: 'decoder' } }, faces, numbers, { ...OPTIONS, hidden });
  }

  /** First values are given when all parameters are declared. */
  initialise(gpu: Gpu): void {
    this.record(new Tape(gpu), new Tape(gpu).tensor('faces', [FACES, SIDE, SIDE, 1]));
    this.parameters.initialise(gpu, (stream, index) => normal(3, stream, index));
  }

  async run<Name extends string>(
    gpu: Gpu,
    faces: Float32Array,
    record: (tape: Tape, patches: HiddenPatches) => Record<Name, Tensor>,
  ): Promise<Record<Name, Float32Array>> {
    const tape = new Tape(gpu);
    const input = tape.input('faces', [FACES, SIDE, SIDE, 1]);
    const results = record(tape, this.record(tape, input));
    const program = await Program.compile(gpu, tape, { keep: Object.values<Tensor>(results) });
    program.write(input, faces);
    program.run();
    const values = {} as Record<Name, Float32Array>;
    for (const name of Object.keys(results) as Name[]) values[name] = (await program.read(results[name])) as Float32Array;
    program.destroy();
    return values;
  }

  names(): string[] {
    return [...this.parameters.entries.keys()];
  }

  destroy(gpu: Gpu): void {
    this.parameters.destroy(gpu);
  }
}

const FACE_VALUES = randomArray([FACES, SIDE, SIDE, 1], 4, 2);

/** The pixels of one patch. */
function patchOf(faces: ArrayLike<number>, face: number, patch: number): number[] {
  const [top, left] = [2 * Math.floor(patch / 8), 2 * (patch % 8)];
  return [0, 1, 2, 3].map((i) => faces[(face * SIDE + top + (i >> 1)) * SIDE + left + (i & 1)]!);
}

function normalised(values: readonly number[]): number[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return values.map((value) => (value - mean) / Math.sqrt(variance + PATCH_EPSILON));
}

async function withNetwork(gpu: Gpu, action: (network: Network) => Promise<void>): Promise<void> {
  const network = new Network();
  network.initialise(gpu);
  try {
    await action(network);
  } finally {
    network.destroy(gpu);
  }
}

gpuSuite('masked autoencoder', (test) => {
  for (const [patches, pixels] of [
    [1, 4],
    [7, 9],
    [67, 36],
    [3, 768],
  ] as const) {
    test(`${patches} patches of ${pixels} pixels have mean 0 and unbiased variance 1`, async (gpu) => {
      const data = randomArray([patches, pixels], 1, 3).map((value, i) => value + Math.floor(i / pixels) - (i < pixels ? 1e-3 * value : 0));
      data.fill(0.25, (patches - 1) * pixels); // without contrast
      const { outputs } = await runOp(gpu, { x: { shape: [patches, pixels], data } }, (tape, { x }) => normalisedPatches(tape, x));
      const rows = Array.from({ length: patches }, (_, patch) => normalised([...data.subarray(patch * pixels, (patch + 1) * pixels)]));
      assertClose(outputs.output!, rows.flat(), { relative: 1e-4, absolute: 1e-5 });
    });
  }

  test('patches of one pixel are refused', async (gpu) => {
    const tape = new Tape(gpu);
    await rejects(() => normalisedPatches(tape, tape.tensor('patches', [2, 3, 1])), ShapeError, '--patch', 'no contrast');
  });

  test('the truth is the last patches of each order', (gpu) =>
    withNetwork(gpu, async (network) => {
      const { truth, said } = await network.run(gpu, FACE_VALUES, (_, { truth, said }) => ({ truth, said }));
      const wanted = Array.from({ length: FACES }, (_, face) =>
        [...ORDER.subarray(face * TOKENS + TOKENS - HIDDEN, (face + 1) * TOKENS)].map((patch) =>
          normalised(patchOf(FACE_VALUES, face, patch)),
        ),
      );
      assertClose(truth, wanted.flat(2), { relative: 1e-4, absolute: 1e-4 });
      assert.is(said.length, truth.length);
    }));

  test('what is said follows from the patches that are seen, and from no other', (gpu) =>
    withNetwork(gpu, async (network) => {
      const said = async (faces: Float32Array) => (await network.run(gpu, faces, (_, { said }) => ({ said }))).said;
      const before = await said(FACE_VALUES);
      const [seen, hidden] = [ORDER[TOKENS]!, ORDER[2 * TOKENS - 1]!]; // of the second face
      const changed = (patch: number) => {
        const faces = FACE_VALUES.slice();
        faces[(SIDE + 2 * Math.floor(patch / 8)) * SIDE + 2 * (patch % 8)]! += 3;
        return said(faces);
      };
      assert.equal(await changed(hidden), before);
      const after = await changed(seen);
      const rows = HIDDEN * PIXELS;
      assert.equal(after.slice(0, rows), before.slice(0, rows));
      assert.equal(after.slice(2 * rows), before.slice(2 * rows));
      assert.ok(after.subarray(rows, 2 * rows).every((value, i) => value !== before[rows + i]));
    }));

  test('the decoder tells places apart', (gpu) =>
    withNetwork(gpu, async (network) => {
      const { said } = await network.run(gpu, FACE_VALUES, (_, { said }) => ({ said }));
      const rows = new Set(Array.from({ length: HIDDEN }, (_, i) => said.slice(i * PIXELS, (i + 1) * PIXELS).join()));
      assert.is(rows.size, HIDDEN);
    }));

  test('the error of a face is that of its hidden patches', (gpu) =>
    withNetwork(gpu, async (network) => {
      const { said, truth, error } = await network.run(gpu, FACE_VALUES, (tape, patches) => ({
        said: patches.said,
        truth: patches.truth,
        error: reconstructionError(tape, patches),
      }));
      const size = HIDDEN * PIXELS;
      const wanted = [0, 1, 2].map(
        (face) =>
          said.slice(face * size, (face + 1) * size).reduce((sum, value, i) => sum + (value - truth[face * size + i]!) ** 2, 0) / size,
      );
      assertClose(error, wanted);
    }));

  test('hidden patches are put back to their places, and marked', (gpu) =>
    withNetwork(gpu, async (network) => {
      const { said, placed } = await network.run(gpu, FACE_VALUES, (tape, patches) => ({
        said: patches.said,
        placed: placedPatches(tape, patches),
      }));
      const wanted = new Float32Array(FACES * TOKENS * (1 + PIXELS));
      for (let face = 0; face < FACES; face++)
        for (let i = 0; i < HIDDEN; i++) {
          const at = (face * TOKENS + ORDER[face * TOKENS + TOKENS - HIDDEN + i]!) * (1 + PIXELS);
          wanted[at] = 1;
          wanted.set(said.subarray((face * HIDDEN + i) * PIXELS, (face * HIDDEN + i + 1) * PIXELS), at + 1);
        }
      assert.equal(placed, wanted);
    }));

  test('gradients agree with finite differences', (gpu) =>
    withNetwork(gpu, async (network) => {
      const faces = { shape: [FACES, SIDE, SIDE, 1], data: FACE_VALUES, differentiable: true };
      await checkGradients(gpu, { faces }, (tape, { faces }) => reconstructionError(tape, network.record(tape, faces)), { samples: 20 });
    }));

  test('one patch at least is seen, and one hidden', async (gpu) => {
    for (const [share, hidden] of [
      [0.001, 1],
      [0.75, 48],
      [0.999, 63],
    ] as const) {
      const network = new Network();
      const { said } = network.record(new Tape(gpu), new Tape(gpu).tensor('faces', [FACES, SIDE, SIDE, 1]), share);
      assert.is(said.shape[1], hidden);
    }
  });

  test('its encoder has the parameters of the backbone without a last layer, and no other', async (gpu) => {
    const network = new Network();
    network.record(new Tape(gpu), new Tape(gpu).tensor('faces', [FACES, SIDE, SIDE, 1]));
    const parameters = Parameters.create();
    const scope: Scope = { tape: new Tape(gpu), parameters, path: '' };
    const { vit } = backbones;
    vit.top(scope, vit.trunk(scope, scope.tape.tensor('faces', [FACES, SIDE, SIDE, 1]), MODEL), MODEL);
    const isShallow = (name: string) => !/^block[34]/.test(name); // which this network is too shallow for
    assert.equal(
      network.names().filter((name) => !name.startsWith('decoder.')),
      [...parameters.entries.keys()].filter(isShallow),
    );
  });
});
