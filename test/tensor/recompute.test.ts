import { bytesAlive } from '#src/tensor/plan.js';
import { withRecomputation } from '#src/tensor/recompute.js';
import { type Launch, Tape } from '#src/tensor/tape.js';
import { createTensor, persistentTensor, rootOf, type Tensor } from '#src/tensor/tensor.js';
import { assert, gpuSuite, suite } from '../support/suite.js';
import { randomArray } from '../support/tensors.js';
import { NETWORKS, trainTwice } from './model-step.js';

/** As much of a launch as the pass looks at. */
function launch(label: string, reads: Tensor[], writes: Tensor[], again?: 'same' | Launch): Launch {
  const bindings = [
    ...reads.map((tensor, i) => ({ name: `read${i}`, access: 'read', tensor })),
    ...writes.map((tensor, i) => ({ name: `write${i}`, access: 'read_write', tensor })),
  ];
  const tensors = Object.fromEntries(bindings.map(({ name, tensor }) => [name, tensor]));
  return { label, shader: { tensors: bindings.map(({ name, access }) => ({ name, access })) }, tensors, again } as unknown as Launch;
}

function tensor(label: string, size = 64): Tensor {
  return createTensor(label, [size]);
}

function mostBytes(launches: readonly Launch[], keep: Tensor[] = []): number {
  return Math.max(...bytesAlive(launches, keep));
}

function labels(launches: readonly Launch[]): string {
  return launches.map(({ label }) => label).join(' ');
}

/** What each launch reads, in turn, where a launch writes a text made of its label and of what it reads. */
function readings(launches: readonly Launch[]): { label: string; read: string[] }[] {
  const memory = new Map<unknown, string>();
  const placeOf = (bound: Tensor) => bound.storage ?? rootOf(bound);
  return launches.map(({ label, shader, tensors }) => {
    const read = shader.tensors.filter(({ access }) => access === 'read').map(({ name }) => memory.get(placeOf(tensors[name]!)) ?? 'first');
    shader.tensors.forEach(({ name, access }, i) => {
      if (access === 'read_write') memory.set(placeOf(tensors[name]!), hash(`${label}.${i}(${read})`));
    });
    return { label, read };
  });
}

/** So that texts made of texts stay short. */
function hash(text: string): string {
  let value = 0;
  for (const character of text) value = (Math.imul(value, 31) + character.charCodeAt(0)) | 0;
  return String(value);
}

suite('recomputation', (test) => {
  /** conv → norm → … → three launches that take much memory → backward of conv2 needs norm, that of norm needs conv. */
  const network = (again: 'same' | undefined) => {
    const [conv, norm, big, result] = [tensor('conv'), tensor('norm'), tensor('big', 256), tensor('result')];
    return [
      launch('conv', [], [conv]),
      launch('norm', [conv], [norm], again),
      launch('conv2', [norm], [big]),
      launch('peak', [big], [result]),
      launch('back2', [norm, result], [tensor('gradient')]),
      launch('back', [conv, result], [tensor('gradient')]),
    ];
  };

  test('repeats a launch just before its result is used again', () => {
    const launches = network('same');
    const fewer = withRecomputation(launches, []);
    assert.is(labels(fewer), 'conv norm conv2 peak norm back2 back');
    assert.is(mostBytes(launches), 4 * (64 * 3 + 256));
    assert.is(mostBytes(fewer), 4 * (64 * 2 + 256));
    assert.is(fewer[4]!.tensors.write0, fewer[5]!.tensors.read0);
    assert.is.not(fewer[4]!.tensors.write0, launches[1]!.tensors.write0);
  });

  test('repeats only what says that it may be', () => {
    const launches = network(undefined);
    assert.is(withRecomputation(launches, []), launches);
  });

  test('keeps what is to be kept, and what others overwrite the inputs of', () => {
    const launches = network('same');
    assert.is(withRecomputation(launches, [launches[1]!.tensors.write0!]), launches);

    const weight = persistentTensor('weight', [64]);
    const [norm, big, result] = [tensor('norm'), tensor('big', 256), tensor('result')];
    const moved = [
      launch('norm', [weight], [norm], 'same'),
      launch('conv', [norm], [big]),
      launch('peak', [big], [result]),
      launch('update', [result], [weight]),
      launch('back', [norm, result], [tensor('gradient')]),
    ];
    assert.is(withRecomputation(moved, []), moved);
  });

  test('repeats in turn what it needs', () => {
    const [conv, pool, drop, big, result] = [tensor('conv'), tensor('pool'), tensor('drop'), tensor('big', 256), tensor('result')];
    const places = tensor('places', 16);
    const launches = [
      launch('conv', [], [conv]),
      launch('pool', [conv], [pool, places], 'same'),
      launch('drop', [pool], [drop], 'same'),
      launch('conv2', [drop], [big]),
      launch('peak', [big], [result]),
      launch('back2', [drop, result], [tensor('gradient')]),
      launch('back', [places, conv, result], [tensor('gradient')]),
    ];
    const fewer = withRecomputation(launches, []);
    assert.is(labels(fewer), 'conv pool drop conv2 peak pool drop back2 back');
    assert.is(fewer[5]!.tensors.write1, fewer[8]!.tensors.read0); // the places that were written the second time
    assert.is(mostBytes(fewer), 4 * (64 * 2 + 256));
  });

  test('repeats another launch where the first does more than that', () => {
    const running = persistentTensor('running', [64]);
    const [conv, norm, big, result] = [tensor('conv'), tensor('norm'), tensor('big', 256), tensor('result')];
    const launches = [
      launch('conv', [], [conv]),
      launch('norm', [conv], [norm, running], launch('norm-again', [conv], [norm], 'same')),
      launch('conv2', [norm], [big]),
      launch('peak', [big], [result]),
      launch('back2', [norm, result], [tensor('gradient')]),
      launch('back', [conv, result], [tensor('gradient')]),
    ];
    assert.is(labels(withRecomputation(launches, [])), 'conv norm conv2 peak norm-again back2 back');
  });

  test('of random programs takes less memory, and every launch reads what it did', () => {
    let repeats = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const random = randomArray([2000], seed).map(Math.abs);
      let at = 0;
      const pick = (count: number) => Math.floor((random[at++]! * 7919) % count);
      const written: Tensor[] = [tensor('input')];
      const stored = persistentTensor('stored', [64]);
      const launches = [launch('first', [], [written[0]!])];
      for (let i = 0; i < 40; i++) {
        // Near tensors in the first half; in the second those of the first in reverse, as a backward pass does.
        const far = i < 20 ? written.length - 1 - pick(Math.min(3, written.length)) : Math.max(0, 40 - i - pick(3));
        const reads = [...new Set([written.at(-1)!, written[far]!, ...(pick(6) === 0 ? [stored] : [])])];
        const writes = [tensor(`t${i}`, 16 * (1 + pick(8))), ...(pick(5) === 0 ? [tensor(`u${i}`, 16)] : [])];
        const moves = pick(12) === 0 && !reads.includes(stored);
        launches.push(launch(`l${i}`, reads, moves ? [...writes, stored] : writes, pick(3) > 0 && !moves ? 'same' : undefined));
        written.push(...writes);
      }
      const keep = [written.at(-1)!];
      const fewer = withRecomputation(launches, keep);
      assert.ok(mostBytes(fewer, keep) <= mostBytes(launches, keep));
      if (fewer !== launches) assert.ok(fewer.length > launches.length);
      repeats += fewer.length - launches.length;
      const before = new Map(readings(launches).map(({ label, read }) => [label, read.join()]));
      for (const { label, read } of readings(fewer)) assert.is(read.join(), before.get(label), `seed ${seed}, ${label}`);
    }
    assert.ok(repeats > 40, `only ${repeats} launches were repeated`);
  });
});

gpuSuite('recomputation of the models', (test) => {
  test('repeats a launch with what the operator says is then different', async (gpu) => {
    const tape = new Tape(gpu);
    const [input, output] = [tape.input('input', [8]), tape.tensor('output', [8])];
    const tensors = { input, output };
    tape.launch('scale', { params: { size: 8, factor: 2 }, tensors, groups: 1, again: { shader: 'copy', params: { size: 8 }, tensors } });
    tape.launch('scale', { params: { size: 8, factor: 2 }, tensors, groups: 1 });
    const [first, second] = tape.launches;
    const again = first!.again as Launch;
    assert.match(again.label, /^copy/);
    assert.equal([again.tensors, again.groups, again.again], [tensors, first!.groups, 'same']);
    assert.is(second!.again, undefined);
  });

  for (const model of NETWORKS) {
    test(`takes less memory for a training step of ${model}, and changes no bit of it`, async (gpu) => {
      const kept = await trainTwice(gpu, model);
      const recomputed = await trainTwice(gpu, model, { recompute: true });
      assert.ok(recomputed.launches > kept.launches);
      assert.ok(recomputed.peakBytes < kept.peakBytes, `${recomputed.peakBytes} against ${kept.peakBytes} bytes`);
      assert.equal(recomputed.results, kept.results);
    });
  }
});
