import { permutation } from '#src/random.js';
import { epochOrder } from '#src/run/sampling.js';
import { assert, suite } from '../support/suite.js';

/** Ninety faces of class 0, seven of class 2 and three of class 5; none of the others. */
const CLASSES = Uint8Array.from({ length: 100 }, (_, face) => (face < 90 ? 0 : face < 97 ? 2 : 5));

function countsOf(order: Uint32Array): number[] {
  const counts = [0, 0, 0, 0, 0, 0];
  for (const face of order) counts[CLASSES[face]]++;
  return counts;
}

suite('sampling', (test) => {
  test('natural is every face once, in the order that it always was', () => {
    assert.equal(epochOrder('natural', CLASSES, 96, 7, 3), permutation(7, 3, 100));
  });

  test('balanced visits every class that occurs equally often', () => {
    for (let epoch = 0; epoch < 4; epoch++) assert.equal(countsOf(epochOrder('balanced', CLASSES, 96, 7, epoch)), [32, 0, 32, 0, 0, 32]);
  });

  test('what does not divide evenly goes to each class in turn', () => {
    const total = [0, 0, 0, 0, 0, 0];
    for (let epoch = 0; epoch < 3; epoch++) {
      const counts = countsOf(epochOrder('balanced', CLASSES, 100, 7, epoch));
      assert.equal(counts.filter(Boolean).sort(), [33, 33, 34], `epoch ${epoch}`);
      counts.forEach((count, name) => {
        total[name] += count;
      });
    }
    assert.equal(total, [100, 0, 100, 0, 0, 100]);
  });

  test('the faces of a class take turns, within an epoch and across epochs', () => {
    const visits = new Map<number, number>();
    for (let epoch = 0; epoch < 3; epoch++) {
      const order = epochOrder('balanced', CLASSES, 96, 7, epoch);
      const rare = order.filter((face) => CLASSES[face] === 2);
      const perFace = Array.from({ length: 7 }, (_, face) => rare.filter((other) => other === 90 + face).length);
      assert.ok(Math.max(...perFace) - Math.min(...perFace) <= 2, `epoch ${epoch}: ${perFace}`); // 32 of 7 begin and end within a round
      for (const face of order) visits.set(face, (visits.get(face) ?? 0) + 1);
    }
    const common = Array.from({ length: 90 }, (_, face) => visits.get(face) ?? 0);
    assert.is(common.filter((count) => count === 1).length, 84, 'after 96 of 90, six are seen twice and none is left out');
    assert.is(common.filter((count) => count === 2).length, 6);
  });

  test('is a function of seed and epoch alone, another one for each', () => {
    const first = epochOrder('balanced', CLASSES, 96, 7, 3);
    assert.equal(epochOrder('balanced', CLASSES, 96, 7, 3), first);
    assert.not.equal(epochOrder('balanced', CLASSES, 96, 8, 3), first);
    assert.not.equal(epochOrder('balanced', CLASSES, 96, 7, 4), first);
    const blocks = [...first].map((face) => CLASSES[face]);
    assert.ok(new Set(blocks.slice(0, 32)).size === 3, 'the classes are mixed');
  });

  test('fewer visits than classes, and one class alone', () => {
    assert.is(new Set([...epochOrder('balanced', CLASSES, 2, 1, 0)].map((face) => CLASSES[face])).size, 2);
    assert.equal([...epochOrder('balanced', [4, 4, 4], 3, 1, 0)].sort(), [0, 1, 2]);
  });
});
