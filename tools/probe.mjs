// Asks Dawn for an adapter and a device and prints what came of it as one JSON object on the last line. A process of its own,
// because a driver may crash it.

/** @returns {Promise<{ adapter?: string, load?: string, problem?: string }>} */
async function probe() {
  const webgpu = await import('webgpu').catch((error) => ({ error }));
  if ('error' in webgpu) return { load: String(webgpu.error.message).split('\n')[0] };
  const gpu = webgpu.create([]);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) return { problem: 'no adapter' };
  const { vendor, architecture, device, description } = adapter.info;
  await adapter.requestDevice();
  return { adapter: description || device || `${vendor} ${architecture}` };
}

const result = await probe().catch((error) => ({ problem: String(error.message).split('\n')[0] }));
// Leaving at once, so that no driver's teardown can turn an answer into a crash.
process.stdout.write(`\n${JSON.stringify(result)}`, () => process.exit(0));
