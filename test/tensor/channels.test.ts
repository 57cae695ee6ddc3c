import { ShapeError } from '#src/errors.js';
import { divideRows, resizeChannels } from '#src/tensor/ops/channels.js';
import { Tape } from '#src/tensor/tape.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';

function resized(data: Float32Array, from: number, to: number): Float32Array {
  return Float32Array.from({ length: (data.length / from) * to }, (_, i) =>
    i % to < from ? data[Math.floor(i / to) * from + (i % to)] : 0,
  );
}

gpuSuite('channels', (test) => {
  for (const [shape, channels] of [
    [[1], 4],
    [[5], 3],
    [[7, 3], 4],
    [[2, 3, 5, 7], 8],
    [[2, 3, 5, 8], 7],
    [[1031, 4], 1],
    [[6, 5], 5],
  ] as const) {
    test(`resizes [${shape}] to ${channels}`, async (gpu) => {
      const from = shape.at(-1)!;
      const data = randomArray([...shape], 1);
      data[0] = Number.NaN;
      const outputGradient = randomArray([(data.length / from) * channels], 2);
      const input = { shape: [...shape], data, differentiable: true };
      const { outputs, gradients } = await runOp(gpu, { input }, (tape, given) => resizeChannels(tape, given.input, channels), {
        outputGradient,
      });
      assertClose(outputs.output!, resized(data, from, channels), { relative: 0, absolute: 0 });
      assertClose(gradients.input!, resized(outputGradient, channels, from), { relative: 0, absolute: 0 });
    });
  }

  test('dispatches of two dimensions, and gradients by finite differences', async (gpu) => {
    const input = { shape: [997, 11], data: randomArray([997, 11], 1), differentiable: true };
    const { outputs } = await runOp(disguise(gpu, { groups: 4 }), { input }, (tape, given) => resizeChannels(tape, given.input, 12));
    assert.equal(outputs.output, resized(input.data, 11, 12));
    await checkGradients(gpu, { input: { shape: [3, 5], data: randomArray([3, 5], 1), differentiable: true } }, (tape, given) =>
      resizeChannels(tape, given.input, 4),
    );
  });

  test('refuses no channels', async (gpu) => {
    const tape = new Tape(gpu);
    await rejects(() => resizeChannels(tape, tape.tensor('input', [2, 3]), 0), ShapeError, 'resizeChannels of [2,3] to 0');
    await rejects(() => resizeChannels(tape, tape.tensor('input', []), 4), ShapeError, 'resizeChannels of []');
  });

  test('divides any rows into chunks of which none is empty, and covers them all', async (gpu) => {
    for (const isFallback of [true, false]) {
      const tape = new Tape(disguise(gpu, { isFallback }));
      for (const rows of [1, 15, 16, 17, 255, 4097, 147_456, 600_011]) {
        for (const channels of [4, 32, 100, 512]) {
          const division = divideRows(tape, tape.tensor('input', [rows, channels]));
          const { columns, chunks, rowsPerChunk, chunkGroups, lanes, channelGroups } = division;
          assert.ok(
            (chunks - 1) * rowsPerChunk < rows && rows <= chunks * rowsPerChunk,
            `${rows} rows, ${chunks} chunks of ${rowsPerChunk}`,
          );
          assert.ok((chunkGroups - 1) * 64 < chunks * columns && chunks * columns <= chunkGroups * 64);
          assert.ok((channelGroups - 1) * 64 < channels * lanes && channels * lanes <= channelGroups * 64);
        }
      }
    }
  });
});
