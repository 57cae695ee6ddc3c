import { type MemoryPlan, planMemory } from '#src/tensor/plan.js';
import type { Launch } from '#src/tensor/tape.js';
import { createTensor, persistentTensor, rootOf, type Tensor } from '#src/tensor/tensor.js';
import { assert, gpuSuite, suite } from '../support/suite.js';
import { disguise } from './disguise.js';
import { NETWORKS, recordStep, trainTwice } from './model-step.js';

const LIMITS = { maxBufferSize: 2 ** 40, minStorageBufferOffsetAlignment: 256 };

/** As much of a launch as the plan looks at. */
function launch(reads: Tensor[], writes: Tensor[]): Launch {
  const bindings = [
    ...reads.map((tensor, i) => ({ name: `read${i}`, access: 'read', tensor })),
    ...writes.map((tensor, i) => ({ name: `write${i}`, access: 'read_write', tensor })),
  ];
  const tensors = Object.fromEntries(bindings.map(({ name, tensor }) => [name, tensor]));
  return { shader: { tensors: bindings.map(({ name, access }) => ({ name, access })) }, tensors } as unknown as Launch;
}

/** Whatever a plan must keep to, worked out from the launches once more. */
function requireSound(
  { bufferBytes, places, peakBytes, boundBytes }: MemoryPlan,
  launches: readonly Launch[],
  keep: Tensor[],
  limits = LIMITS,
) {
  const bound = launches.map(({ shader, tensors }) =>
    shader.tensors
      .map(({ name, access }) => ({ access, tensor: rootOf(tensors[name]!) }))
      .filter(({ tensor }) => !tensor.storage)
      .map(({ access, tensor }) => ({ access, tensor, ...places.get(tensor)! })),
  );
  const lives = [...places].map(([tensor, { buffer, offset }]) => {
    const uses = bound.flatMap((bindings, i) => (bindings.some((binding) => binding.tensor === tensor) ? [i] : []));
    const last = keep.some((kept) => rootOf(kept) === tensor) ? launches.length : uses.at(-1)!;
    return { tensor, buffer, offset, end: offset + Math.ceil(tensor.bytes / 16) * 16, first: uses[0]!, last };
  });
  assert.is(new Set(bound.flat().map(({ tensor }) => tensor)).size, places.size, 'every planned tensor has a place');
  for (const { tensor, buffer, offset, end } of lives) {
    assert.is(offset % limits.minStorageBufferOffsetAlignment, 0, `${tensor.label} begins at byte ${offset}`);
    assert.ok(end <= bufferBytes[buffer]!, `${tensor.label} ends within its buffer`);
  }
  lives.forEach((a, i) => {
    for (const b of lives.slice(0, i)) {
      const apart = a.buffer !== b.buffer || a.end <= b.offset || b.end <= a.offset || a.last < b.first || b.last < a.first;
      assert.ok(apart, `${a.tensor.label} and ${b.tensor.label} are in each other's way`);
    }
  });
  bound.forEach((bindings, i) => {
    const buffers = (wanted: string) => bindings.filter(({ access }) => access === wanted).map(({ buffer }) => buffer);
    const both = buffers('read').filter((buffer) => buffers('read_write').includes(buffer));
    assert.equal(both, [], `launch ${i} reads and writes one buffer`);
  });
  for (const bytes of bufferBytes) assert.ok(bytes <= limits.maxBufferSize);
  assert.is(
    peakBytes,
    bufferBytes.reduce((sum, bytes) => sum + bytes, 0),
  );
  const alive = launches.map((_, i) =>
    lives.reduce((sum, { first, last, tensor }) => sum + (first <= i && i <= last ? tensor.bytes : 0), 0),
  );
  assert.ok(boundBytes >= Math.max(...alive) && boundBytes <= peakBytes);
}

suite('memory plan', (test) => {
  const chainOf = (length: number, size: number) => Array.from({ length }, (_, i) => createTensor(`t${i}`, [size]));

  test('a chain of equal tensors takes turns in two buffers', () => {
    const chain = chainOf(6, 64);
    const launches = chain.slice(1).map((tensor, i) => launch([chain[i]!], [tensor]));
    const plan = planMemory(launches, [], LIMITS);
    requireSound(plan, launches, []);
    assert.equal(plan.bufferBytes, [256, 256]);
    assert.is(plan.boundBytes, 512);
  });

  test('small tensors lie side by side where a large one was', () => {
    const [large, left, right, sum] = [128, 64, 64, 64].map((size, i) => createTensor(`t${i}`, [size])) as [Tensor, Tensor, Tensor, Tensor];
    const launches = [launch([], [large]), launch([], [left]), launch([], [right]), launch([left, right], [sum])];
    const plan = planMemory(launches, [], LIMITS);
    requireSound(plan, launches, []);
    assert.equal(plan.bufferBytes, [512, 256]);
    assert.equal(plan.places.get(left), { buffer: 0, offset: 0 });
    assert.equal(plan.places.get(right), { buffer: 0, offset: 256 });
  });

  test('random launches: nothing overlaps, no buffer is read and written at once, and little is lost', () => {
    let state = 5;
    const random = (limit: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % limit;
    };
    const ratios: number[] = [];
    for (const limits of [LIMITS, { maxBufferSize: 40_000, minStorageBufferOffsetAlignment: 32 }]) {
      for (let round = 0; round < 20; round++) {
        const tensors = Array.from({ length: 80 }, (_, i) => createTensor(`t${i}`, [1 + random(2000)]));
        // Each launch writes one tensor and reads some of the few before it.
        const launches = tensors.map((tensor, i) => {
          const earlier = new Set(Array.from({ length: random(3) }, () => tensors[i - 1 - random(12)]));
          return launch(
            [...earlier].filter((read) => read !== undefined),
            [tensor],
          );
        });
        const keep = [tensors[random(80)]!, tensors[random(80)]!];
        const plan = planMemory(launches, keep, limits);
        requireSound(plan, launches, keep, limits);
        ratios.push(plan.peakBytes / plan.boundBytes);
      }
    }
    const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
    assert.ok(mean < 1.2, `${mean} times the bound`); // seen: 1.15
  });

  test('a kept tensor lives to the end', () => {
    const [a, b, c] = chainOf(3, 10) as [Tensor, Tensor, Tensor];
    const launches = [a, b, c].map((tensor) => launch([], [tensor]));
    assert.is(planMemory(launches, [], LIMITS).peakBytes, 256);
    assert.is(planMemory(launches, [a], LIMITS).peakBytes, 512);
  });

  test('a view keeps the memory that it shows; persistent tensors need none', () => {
    const [a, b, c] = chainOf(3, 16) as [Tensor, Tensor, Tensor];
    const view = createTensor('view', [4, 4], 'f32', { base: a });
    const launches = [launch([persistentTensor('input', [64])], [a]), launch([], [b]), launch([view], [c])];
    const plan = planMemory(launches, [], LIMITS);
    requireSound(plan, launches, []);
    assert.equal([...plan.places.keys()], [a, b, c]);
    assert.is(planMemory(launches, [view], LIMITS).boundBytes, 3 * 64 - 64);
  });

  test('a buffer grows only as far as the adapter allows', () => {
    const [large, left, right] = [176, 100, 100].map((size, i) => createTensor(`t${i}`, [size])) as [Tensor, Tensor, Tensor];
    const launches = [launch([], [large]), launch([], [left]), launch([], [right]), launch([left, right], [])];
    const buffers = (maxBufferSize: number) => planMemory(launches, [], { maxBufferSize, minStorageBufferOffsetAlignment: 16 }).bufferBytes;
    assert.equal(buffers(800), [800]);
    assert.equal(buffers(799), [704, 400]);
    assert.equal(buffers(100), [704, 400, 400]); // the largest is beyond it: whoever makes the buffers finds out
  });

  test('the same launches give the same plan', () => {
    const chain = chainOf(20, 33);
    const launches = chain.slice(2).map((tensor, i) => launch([chain[i]!, chain[i + 1]!], [tensor]));
    assert.equal([...planMemory(launches, [], LIMITS).places.values()], [...planMemory(launches, [], LIMITS).places.values()]);
  });
});

gpuSuite('memory plan of the models', (test) => {
  for (const model of NETWORKS) {
    test(`a training step of ${model} takes at most 1.05 times the bound, 1.08 where that is few MiB, in bindings that a processor takes`, async (gpu) => {
      for (const isFallback of [true, false]) {
        for (const batch of [8, 64, 256]) {
          const { tape, keep } = recordStep(disguise(gpu, { isFallback }), model, batch);
          const { launches } = tape;
          const plan = planMemory(launches, keep, LIMITS);
          requireSound(plan, launches, keep);
          const largest = Math.max(...launches.flatMap(({ tensors }) => Object.values(tensors).map(({ bytes }) => bytes)));
          assert.ok(!isFallback || largest <= 2 ** 27, `${model} at batch ${batch} binds ${largest} bytes`); // of llvmpipe: the least that WebGPU promises
          const ratio = plan.peakBytes / plan.boundBytes;
          const most = plan.boundBytes < 2 ** 24 ? 1.08 : 1.05;
          assert.ok(ratio <= most, `${model} at batch ${batch}: ${ratio} times the bound`); // seen: up to 1.071, 1.046
        }
      }
    });

    test(`sharing memory changes no bit of a training step of ${model}`, async (gpu) => {
      const shared = await trainTwice(gpu, model);
      const alone = await trainTwice(gpu, model, { apart: true });
      assert.ok(shared.peakBytes < alone.peakBytes / 2);
      assert.ok(shared.results.every((values) => values.every(Number.isFinite)));
      assert.equal(shared.results, alone.results);
    });
  }
});
