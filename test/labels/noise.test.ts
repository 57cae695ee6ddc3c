import { withCandidates, withWrongLabels } from '#src/labels/noise.js';
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

suite('made-up candidates', (test) => {
  const columns = 5;
  const classes = 4;
  // Agreed on, tied, one vote for each, with an outlier, nobody for a class; repeated.
  const rows = [
    [9, 1, 0, 0, 0],
    [0, 5, 0, 5, 0],
    [1, 1, 1, 1, 1],
    [1, 0, 6, 0, 3],
    [0, 0, 0, 0, 9],
  ];
  const times = 2000;
  const votes = Float32Array.from(
    { length: times * rows.length * columns },
    (_, i) => rows[Math.floor(i / columns) % rows.length][i % columns],
  );
  const options = { columns, classes, rate: 0.25, seed: 3 };
  const { votes: hidden, labels } = withCandidates(votes, options);
  const setOf = (face: number) => [...hidden.subarray(face * columns, (face + 1) * columns)];
  const facesOf = (row: number) => Array.from({ length: times }, (_, i) => i * rows.length + row);
  const shareOf = (faces: number[], is: (face: number) => boolean) => faces.filter(is).length / faces.length;

  test('hold the class with most votes, and every other with the probability asked for', () => {
    for (const [row, label] of [
      [0, 0],
      [3, 2],
    ])
      for (let c = 0; c < classes; c++) {
        const share = shareOf(facesOf(row), (face) => setOf(face)[c] > 0);
        // The deviation of a share is √(¼·¾ / 2000) = 0.0097.
        assert.ok(c === label ? share === 1 : Math.abs(share - 0.25) < 4 * 0.0097, `${row} ${c} ${share}`);
      }
    // A tie: the one drawn, and the other by chance: ½ + ½·¼.
    for (const c of [1, 3]) assert.ok(Math.abs(shareOf(facesOf(1), (face) => setOf(face)[c] > 0) - 0.625) < 4 * 0.0109);
  });

  test('are told by nothing from each other, and faces that teach no class have none', () => {
    for (let face = 0; face < times; face++) {
      const set = setOf(face);
      assert.is(new Set(set.filter((count) => count > 0)).size, [2, 4].includes(face % rows.length) ? 0 : 1);
      assert.is(set[4], 0);
    }
  });

  test('give the label of one of them, each as often as the others', () => {
    for (const row of [2, 4]) assert.ok(facesOf(row).every((face) => labels[face] === -1));
    for (const row of [0, 1, 3]) assert.ok(facesOf(row).every((face) => setOf(face)[labels[face]] > 0));
    for (const other of [1, 2, 3]) {
      const pairs = facesOf(0).filter((face) => setOf(face).every((count, c) => count > 0 === (c === 0 || c === other)));
      assert.ok(pairs.length > 200);
      const right = shareOf(pairs, (face) => labels[face] === 0);
      assert.ok(Math.abs(right - 0.5) < 4 * Math.sqrt(0.25 / pairs.length), `${right} of ${pairs.length}`);
    }
    // Also where a tie was broken before: the same draw must not break both.
    const [first, second] = [0, 2].map((other) => {
      const pairs = facesOf(1).filter((face) => setOf(face).every((count, c) => count > 0 === (c === 1 || c === other)));
      return shareOf(pairs, (face) => labels[face] === 1);
    });
    assert.ok(Math.abs(first - 0.5) < 0.15 && Math.abs(second - 0.5) < 0.15, `${first} ${second}`);
  });

  test('depend on the seed only', () => {
    assert.equal(withCandidates(votes, options), { votes: hidden, labels });
    assert.not.equal(withCandidates(votes, { ...options, seed: 4 }).votes, hidden);
  });
});
