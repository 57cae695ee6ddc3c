import { DeviceError } from '#src/errors.js';
import { openGpu } from '#src/gpu/dawn.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';

gpuSuite('opening an adapter', (test) => {
  test("'software' means the processor, where its driver is there", async (gpu) => {
    if (!gpu.adapter.isFallback) return; // a machine with a GPU need not have one
    const opened = await openGpu({ adapter: 'software' });
    assert.ok(opened.adapter.isFallback);
    opened.close();
  });

  test('an adapter that is not there is refused by its name', async () => {
    await rejects(() => openGpu({ adapter: 'no such adapter' }), DeviceError, "'no such adapter'", 'tools/setup.mjs');
  });
});
