import { DeviceError, ShaderError, ShapeError } from '#src/errors.js';
import { Program, Readback } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import type { Tensor } from '#src/tensor/tensor.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { randomArray, runOp } from '../support/tensors.js';

/** An operator that copies; its gradient too is a copy. */
function copy(tape: Tape, input: Tensor): Tensor {
  const launch = (from: Tensor, to: Tensor) =>
    tape.launch('copy', { params: { size: from.size }, tensors: { input: from, output: to }, groups: Math.ceil(from.size / 2048) });
  const output = tape.tensor('copy', input.shape);
  launch(input, output);
  return tape.record({
    name: 'copy',
    inputs: [input],
    output,
    gradient(outputGradient) {
      const inputGradient = tape.gradientTarget(input);
      launch(outputGradient, inputGradient);
      return [inputGradient];
    },
  });
}

gpuSuite('program', (test) => {
  test('replays without making buffers, pipelines or bind groups, one submit a step', async (gpu) => {
    const tape = new Tape(gpu);
    const input = tape.input('x', [5000]);
    let x = input;
    for (let i = 0; i < 5; i++) x = copy(tape, x);
    const program = await Program.compile(gpu, tape, { keep: [x] });
    const readback = new Readback(gpu, [x], 2);
    assert.is(program.memory.peakBytes, 2 * 5000 * 4);
    const before = { ...gpu.counters };
    for (let step = 0; step < 4; step++) {
      const values = randomArray([5000], step);
      program.write(input, values);
      const [output] = await gpu.wait(program.run(readback)!);
      assert.equal(output, values);
    }
    assert.equal({ ...gpu.counters, submits: 0 }, { ...before, submits: 0 });
    assert.is(gpu.counters.submits - before.submits, 4);
    program.destroy();
    readback.destroy();
  });

  test('results of several steps may be under way, but no more than the readback holds', async (gpu) => {
    const tape = new Tape(gpu);
    const input = tape.input('x', [4]);
    const output = copy(tape, input);
    const program = await Program.compile(gpu, tape, { keep: [output] });
    const readback = new Readback(gpu, [output], 2);
    const pending = [1, 2].map((value) => {
      program.write(input, Float32Array.of(value, value, value, value));
      return program.run(readback)!;
    });
    await rejects(() => program.run(readback), RangeError, 'under way');
    assert.is((await gpu.wait(pending[0]))[0][0], 1);
    assert.is((await gpu.wait(pending[1]))[0][3], 2);
    program.destroy();
    readback.destroy();
  });

  test('gradients of a tensor used three times add up', async (gpu) => {
    const data = randomArray([37], 1);
    const ones = new Float32Array(37).fill(1);
    const { gradients } = await runOp(
      gpu,
      { x: { shape: [37], data, differentiable: true } },
      (tape, { x }) => {
        const [a, b, c] = [copy(tape, x), copy(tape, x), copy(tape, x)];
        const sum = (left: Tensor, right: Tensor) => {
          const output = tape.tensor('sum', [37]);
          tape.launch('add', { params: { size: 37 }, tensors: { left, right, output }, groups: 1 });
          return tape.record({ name: 'sum', inputs: [left, right], output, gradient: (g) => [g, g] });
        };
        return sum(sum(a, b), c);
      },
      { outputGradient: ones },
    );
    assert.equal(gradients.x, new Float32Array(37).fill(3));
  });

  test('a view costs no launch and shares memory', async (gpu) => {
    const data = randomArray([6, 4], 2);
    const tape = new Tape(gpu);
    const x = tape.input('x', [6, 4]);
    const y = copy(tape, tape.view(copy(tape, x), [24]));
    assert.is(tape.launches.length, 2);
    const program = await Program.compile(gpu, tape, { keep: [y] });
    program.write(x, data);
    program.run();
    assert.equal(await program.read(y), data);
    program.destroy();
  });

  test('a view of some elements, and a view of that', async (gpu) => {
    const data = randomArray([640], 2);
    const tape = new Tape(gpu);
    const x = tape.input('x', [640]);
    const some = (tensor: Tensor) => tape.view(tape.view(tensor, [4, 128], 128), [128], 256);
    const persistent = copy(tape, some(x));
    const planned = copy(tape, some(copy(tape, x)));
    const program = await Program.compile(gpu, tape, { keep: [persistent, planned] });
    program.write(x, data);
    program.run();
    for (const tensor of [persistent, planned, some(x)]) assert.equal(await program.read(tensor), data.subarray(384, 512));
    program.destroy();
  });

  test('launches behind a gate run while it is open, the others always', async (gpu) => {
    const tape = new Tape(gpu);
    const [x, always, sometimes] = ['x', 'always', 'sometimes'].map((name) => tape.input(name, [3]));
    const gate = { isOpen: true };
    const into = (output: Tensor) => tape.launch('copy', { params: { size: 3 }, tensors: { input: x, output }, groups: 1 });
    tape.behind(gate, () => into(sometimes));
    into(always);
    const program = await Program.compile(gpu, tape);
    const seen: number[][] = [];
    for (const isOpen of [false, true, false]) {
      gate.isOpen = isOpen;
      program.write(x, new Float32Array(3).fill(seen.length + 1));
      program.run();
      seen.push([(await program.read(always))[0], (await program.read(sometimes))[0]]);
    }
    assert.equal(seen, [
      [1, 0],
      [2, 2],
      [3, 2],
    ]);
    program.destroy();
  });

  test('wrong names in a launch are refused', async (gpu) => {
    const tape = new Tape(gpu);
    const x = tape.input('x', [4]);
    await rejects(() => tape.launch('copy', { params: { size: 4 }, tensors: { input: x }, groups: 1 }), ShaderError, 'missing output');
    await rejects(
      () => tape.launch('copy', { params: { length: 4 }, tensors: { input: x, output: x }, groups: 1 }),
      ShaderError,
      'unknown length',
    );
  });

  test('backward starts from one number', async (gpu) => {
    const tape = new Tape(gpu);
    await rejects(() => tape.backward(tape.input('x', [2], 'f32', true)), ShapeError, '[2]');
  });

  test('a tensor beyond the adapter is refused with its name', async (gpu) => {
    const tape = new Tape(gpu);
    const huge = tape.tensor('enormous', [gpu.limits.maxStorageBufferBindingSize / 4 + 1]);
    tape.launch('copy', { params: { size: 4 }, tensors: { input: tape.input('x', [4]), output: huge }, groups: 1 });
    await rejects(() => Program.compile(gpu, tape), DeviceError, 'enormous', '--batch');
  });

  test('a validation error is thrown at the next check, not swallowed', async (gpu) => {
    const buffer = gpu.createBuffer('small', 16, GPUBufferUsage.COPY_DST);
    gpu.device.queue.writeBuffer(buffer, 0, new Uint8Array(64));
    await rejects(() => gpu.idle(), DeviceError, 'defect');
    gpu.destroyBuffer(buffer);
  });

  test('profile gives a time for every launch', async (gpu) => {
    const tape = new Tape(gpu);
    copy(tape, copy(tape, tape.input('x', [100_000])));
    const program = await Program.compile(gpu, tape);
    const times = await program.profile();
    assert.is(times.length, 2);
    for (const { launch, timeMs } of times) {
      assert.ok(launch.label.startsWith('copy'));
      assert.ok(timeMs > 0 && timeMs < 10_000, `${timeMs} ms`);
    }
    program.destroy();
  });
});
