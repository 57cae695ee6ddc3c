import { formatLimits, measureLimits, median } from '#tools/limits.js';
import { assert, gpuSuite, suite } from '../support/suite.js';

suite('median', (test) => {
  test('the middle value, or the mean of the middle two, in any order', () => {
    assert.is(median([3]), 3);
    assert.is(median([9, 1, 4]), 4);
    assert.is(median([8, 1, 2, 4]), 3);
    const values = [5, 4];
    median(values);
    assert.equal(values, [5, 4]);
  });
});

gpuSuite('limits', (test) => {
  test('every limit is measured, and within what any machine can do', async (gpu) => {
    const limits = await measureLimits(gpu, 2);
    for (const [name, value] of Object.entries(limits)) assert.ok(Number.isFinite(value) && value > 0, `${name} = ${value}`);
    assert.ok(limits.multiplyAddGflops > 0.1 && limits.multiplyAddGflops < 1e6, `${limits.multiplyAddGflops} GFLOP/s`);
    assert.ok(limits.shaderCopyGBps > 0.01 && limits.shaderCopyGBps < 1e5, `${limits.shaderCopyGBps} GB/s`);
    assert.ok(limits.submitUs < limits.submitAndWaitUs, 'waiting takes longer than submitting');
    assert.is(formatLimits(limits).split('\n').length, Object.keys(limits).length);
  });
});
