import { planMemory } from '#src/tensor/plan.js';
import type { Launch } from '#src/tensor/tape.js';
import { createTensor, type Tensor } from '#src/tensor/tensor.js';
import { assert, suite } from '../support/suite.js';

const launch = (...tensors: Tensor[]): Launch =>
  ({
    label: '',
    params: {},
    groups: [1, 1, 1],
    flops: 0,
    bytes: 0,
    tensors: Object.fromEntries(tensors.map((t, i) => [`t${i}`, t])),
  }) as unknown as Launch;

suite('memory plan', (test) => {
  test('a chain of equal tensors takes turns in two slots', () => {
    const chain = Array.from({ length: 6 }, (_, i) => createTensor(`t${i}`, [100]));
    const plan = planMemory(
      chain.slice(1).map((tensor, i) => launch(chain[i], tensor)),
      [],
    );
    assert.is(plan.slots.length, 2);
    assert.is(plan.peakBytes, 800);
    assert.is(plan.boundBytes, 800);
  });

  test('tensors alive together never share a slot, whatever their sizes and lives', () => {
    let state = 5;
    const random = (limit: number) => (state = (state * 1103515245 + 12345) % 2 ** 31) % limit;
    const tensors = Array.from({ length: 60 }, (_, i) => createTensor(`t${i}`, [1 + random(500)]));
    const lives = tensors.map((tensor) => {
      const first = random(80);
      return { tensor, first, last: first + random(20) };
    });
    const launches = Array.from({ length: 100 }, (_, i) =>
      launch(...lives.filter((life) => life.first === i || life.last === i).map((life) => life.tensor)),
    );
    const plan = planMemory(launches, []);
    assert.is(plan.slots.flatMap((slot) => slot.tensors).length, 60);
    for (const slot of plan.slots) {
      const sharing = lives.filter((life) => slot.tensors.includes(life.tensor)).sort((a, b) => a.first - b.first);
      for (let i = 1; i < sharing.length; i++) assert.ok(sharing[i].first > sharing[i - 1].last, 'two lives in one slot overlap');
      for (const { tensor } of sharing) assert.ok(tensor.bytes <= slot.sizeBytes);
    }
    assert.ok(plan.boundBytes <= plan.peakBytes);
    assert.ok(plan.peakBytes < tensors.reduce((sum, tensor) => sum + tensor.bytes, 0));
  });

  test('a kept tensor lives to the end', () => {
    const [a, b, c] = [0, 1, 2].map((i) => createTensor(`t${i}`, [10]));
    const launches = [launch(a), launch(b), launch(c)];
    assert.is(planMemory(launches, []).slots.length, 1);
    assert.is(planMemory(launches, [a]).slots.length, 2);
  });
});
