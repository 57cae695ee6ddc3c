import { UsageError } from '#src/errors.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import { parseOperatorOptions, parseShapes, recordOperator } from '#tools/operators.js';
import { assert, gpuSuite, rejects, suite } from '../support/suite.js';

suite('operator arguments', (test) => {
  test('shapes', async () => {
    assert.equal(parseShapes('32x24x24x64,3×3x64x64'), [
      [32, 24, 24, 64],
      [3, 3, 64, 64],
    ]);
    assert.equal(parseShapes('7'), [[7]]);
    for (const text of ['', '3x', '3x0', '3x-1', '3x1.5', '3,,4', 'axb'])
      await rejects(() => parseShapes(text), UsageError, '--shape', 'no shape');
  });

  test('options', async () => {
    assert.equal(parseOperatorOptions('stride=2,kind=gelu'), { stride: 2, kind: 'gelu' });
    for (const text of ['stride', 'stride=', '=2', 'a=b=c']) await rejects(() => parseOperatorOptions(text), UsageError, '--options');
  });
});

/** A shader of each operator, and small shapes for it. */
const EXAMPLES: [shader: string, shapes: string, options?: string][] = [
  ['conv2d_forward', '2x5x5x8,3x3x8x4'],
  ['conv2d_backward_weight', '2x5x5x8,3x3x8x4', 'stride=2,padding=1'],
  ['matmul', '6x8,8x4'],
  ['batch_norm_statistics', '4x8'],
  ['layer_norm_forward', '4x8'],
  ['activation_backward', '40', 'kind=gelu'],
  ['max_pool2d_backward', '1x4x4x4'],
  ['average_pool2d_forward', '1x4x4x4', 'kernel=4'],
  ['softmax_divergence', '4x8,4x8'],
  ['softmax_backward', '4x8'],
  ['dropout', '64'],
  ['arithmetic', '4x8,8'],
  ['scale', '64'],
  ['fold', '64'],
  ['max_backward', '4x8'],
  ['permute', '2x3x4x5'],
  ['band', '3x5', 'axis=1'],
  ['layer_norm_backward_sums', '4x8'],
];

gpuSuite('operators', (test) => {
  for (const [shader, shapes, options] of EXAMPLES) {
    test(`${shader} runs for its operator`, async (gpu) => {
      const tape = new Tape(gpu, { training: true });
      recordOperator(tape, shader, parseShapes(shapes), options ? parseOperatorOptions(options) : {});
      const names = tape.launches.map((launch) => launch.shader.name);
      assert.ok(
        names.some((name) => name.startsWith(shader)),
        names.join(),
      );
      const program = await Program.compile(gpu, tape);
      program.run();
      await gpu.idle();
      program.destroy();
    });
  }

  test('unknown shaders, wrong counts of shapes and unknown activations are refused', async (gpu) => {
    const tape = new Tape(gpu);
    await rejects(() => recordOperator(tape, 'sgd', [[1]], {}), UsageError, "'sgd'", 'conv2d');
    await rejects(() => recordOperator(tape, 'conv2d_forward', [[1, 4, 4, 4]], {}), UsageError, '1 shapes', 'weight HxWxCxC');
    await rejects(() => recordOperator(tape, 'activation_forward', [[4]], { kind: 'tanh' }), UsageError, 'tanh', 'relu or gelu');
  });
});
