import { withWrongLabels } from '#src/labels/noise.js';
import { assert, suite } from '../support/suite.js';

suite('wrong labels', (test) => {
  const columns = 4;
  const classes = 3;
  // The last column is no class; every tenth face has no vote for a class.
  const votes = Float32Array.from({ length: 4000 * columns }, (_, i) => {
    const face = Math.floor(i / columns);
    if (i % columns === 3) return 1;
    return face % 10 === 0 ? 0 : i % columns === face % classes ? 7 : 2;
  });
  const rowOf = (table: Float32Array, face: number) => [...table.subarray(face * columns, (face + 1) * columns)];

  test('exchange the first class with another, for the share of faces that was asked for', () => {
    const { votes: wrong, exchanged } = withWrongLabels(votes, { columns, classes, share: 0.3, seed: 1 });
    const partners = [0, 0, 0];
    exchanged.forEach((pair, face) => {
      const [before, after] = [rowOf(votes, face), rowOf(wrong, face)];
      if (!pair) return assert.equal(after, before);
      assert.is(before.indexOf(7), pair[0]);
      assert.is(after.indexOf(7), pair[1]);
      assert.is.not(pair[0], pair[1]);
      assert.equal(after.toSorted(), before.toSorted());
      assert.is(after[3], 1);
      partners[pair[1]]++;
    });
    const count = exchanged.filter(Boolean).length;
    assert.ok(Math.abs(count / 3600 - 0.3) < 0.03, `${count} of 3600`);
    for (const partner of partners) assert.ok(Math.abs(partner / count - 1 / 3) < 0.06, `${partners}`);
  });

  test('are none at share 0, and depend on the seed only', () => {
    assert.equal(withWrongLabels(votes, { columns, classes, share: 0, seed: 1 }).votes, votes);
    const first = withWrongLabels(votes, { columns, classes, share: 0.5, seed: 1 });
    assert.equal(withWrongLabels(votes, { columns, classes, share: 0.5, seed: 1 }), first);
    assert.not.equal(withWrongLabels(votes, { columns, classes, share: 0.5, seed: 2 }).votes, first.votes);
  });
});
