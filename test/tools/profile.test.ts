import { UsageError } from '#src/errors.js';
import { formatProfile, type ProfileOptions, profileShader, profileStep, spansOf } from '#tools/profile.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';

const OPTIONS: ProfileOptions = {
  model: 'small',
  batch: 4,
  size: 16,
  channels: 1,
  width: 0.5,
  optimizer: 'sgd',
  shader: undefined,
  shape: undefined,
  options: undefined,
  steps: 1,
  by: 'shader',
  json: false,
  trace: undefined,
  adapter: undefined,
  unsafe: false,
};
const LIMITS = {
  multiplyAddGflops: 100,
  shaderCopyGBps: 10,
  bufferCopyGBps: 40,
  launchUs: 20,
  submitUs: 30,
  submitAndWaitUs: 100,
  readbackUs: 120,
};

gpuSuite('profile', (test) => {
  test('a training step: every launch timed, forward, backward and update among them', async (gpu) => {
    const profile = await profileStep(gpu, OPTIONS);
    const names = profile.launches.map(({ shader }) => shader.split('[')[0]);
    for (const name of ['faces_gather', 'batch_norm_forward', 'softmax_divergence', 'batch_norm_backward_sums', 'sgd'])
      assert.ok(names.includes(name), name);
    assert.ok(profile.launches.every(({ timeMs }) => timeMs >= 0));
    assert.ok((profile.stepMs ?? 0) > (profile.hostMs ?? Number.NaN), `${profile.stepMs} ms, ${profile.hostMs} ms in JavaScript`);
    assert.ok(profile.plannedBytes > 0 && profile.plannedBytes < profile.peakBytes);
    const flops = profile.launches.reduce((sum, launch) => sum + launch.flops, 0);
    assert.ok(flops > 1e6, `${flops} operations`);

    const text = formatProfile(profile, LIMITS, 'shader');
    assert.match(text, /^small: a training step on 4 faces of 16×16×1\n/);
    assert.match(text, /^faces_gather\S* +1 /m);
    const spans = spansOf(profile.launches);
    assert.is(spans.length, profile.launches.length);
    assert.ok(spans.every(({ startMs, timeMs }, i) => i === spans.length - 1 || spans[i + 1].startMs === startMs + timeMs));
  });

  test('a shader alone: only its own launches', async (gpu) => {
    const { launches } = await profileShader(gpu, { ...OPTIONS, shader: 'softmax_backward', shape: '8x8' });
    assert.equal(
      launches.map(({ shader }) => shader.split('[')[0]),
      ['softmax_backward'],
    );
    // Whatever the operator would choose for these sizes by itself.
    for (const shader of ['conv2d_forward', 'conv2d_forward_direct']) {
      const named = await profileShader(gpu, { ...OPTIONS, shader, shape: '4x24x24x64,3x3x64x64', options: 'padding=1' });
      assert.equal(
        named.launches.map((launch) => launch.shader.split('[')[0]),
        [shader],
      );
    }
    const both = await profileShader(gpu, { ...OPTIONS, shader: 'softmax', shape: '8x8' });
    assert.is(both.launches.length, 2);
  });

  test('what cannot be profiled is refused', async (gpu) => {
    await rejects(() => profileShader(gpu, { ...OPTIONS, shader: 'softmax_forward' }), UsageError, '--shape');
    await rejects(
      () => profileShader(gpu, { ...OPTIONS, shader: 'softmax_sideways', shape: '8x8' }),
      UsageError,
      'does not run',
      'softmax_forward',
    );
  });
});
