// WebGPU for engines that expect a browser. PEER_ADAPTER, if set, is part of the adapter's name or 'software', as in src/gpu/dawn.ts.
import { tmpdir } from 'node:os';
import { create, globals } from 'webgpu';

process.env.XDG_RUNTIME_DIR ??= tmpdir();
Object.assign(globalThis, globals);
const wanted = process.env.PEER_ADAPTER;
const software = wanted === 'software';
const gpu = create(wanted && !software ? [`adapter=${wanted}`] : []);
// Engines ask as they like; all get the adapter that we get.
const request = gpu.requestAdapter.bind(gpu);
const preference = software ? { forceFallbackAdapter: true } : { powerPreference: 'high-performance' };
Object.defineProperty(gpu, 'requestAdapter', { value: () => request(preference) });
const navigator = { gpu, userAgent: 'node', platform: process.platform, hardwareConcurrency: 1, language: 'en' };
Object.defineProperty(globalThis, 'navigator', { configurable: true, value: navigator });
// Dawn's binding polls through setImmediate while a promise is pending, and on a software adapter takes a core from the shaders: the peers get the
// cure that we have ourselves, one poll in a millisecond.
const immediate = globalThis.setImmediate;
globalThis.setImmediate = (callback, ...rest) =>
  /\[native code\]/.test(Function.prototype.toString.call(callback)) ? setTimeout(callback, 1, ...rest) : immediate(callback, ...rest);
