import { ShapeError } from '#src/errors.js';
import { agreement, distribution, distributions, drawClass, drawnPluralities, entropy, plurality, rowCount } from '#src/labels/votes.js';
import { assert, rejects, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';

suite('votes', (test) => {
  test('become shares that sum to 1', () => {
    assertClose(distribution([4, 0, 0, 1, 3, 2]), [0.4, 0, 0, 0.1, 0.3, 0.2]);
    assertClose(distribution([0, 0]), [0, 0]);
  });

  test('become shares over the classes of a table, without unknown and NF', () => {
    const votes = Float32Array.from([3, 1, 6, 0, /**/ 0, 0, 2, 8, /**/ 0.5, 1.5, 0, 0]);
    assertClose(distributions(votes, 4, 2), [0.75, 0.25, 0, 0, 0.25, 0.75]);
  });

  test('have a plurality, the first of several equals', () => {
    assert.is(plurality([1, 4, 2]), 1);
    assert.is(plurality([0, 3, 3]), 1);
    assert.is(plurality([0, 0]), -1);
    assert.is(plurality([]), -1);
  });

  test('have pluralities whose ties the seed breaks, for each face anew and evenly', () => {
    assert.equal([...drawnPluralities(Float32Array.from([1, 2, 9, 0, 0, 9]), 3, 2, 0)], [1, -1]);
    const count = 3000;
    const tied = Float32Array.from({ length: 4 * count }, (_, i) => [2, 5, 5, 5][i % 4]);
    const drawn = drawnPluralities(tied, 4, 4, 1);
    const counts = [0, 0, 0, 0];
    for (const label of drawn) counts[label]++;
    assert.is(counts[0], 0);
    // The deviation of a count is √(3000·⅓·⅔) = 26.
    for (const times of counts.slice(1)) assert.ok(Math.abs(times - count / 3) < 4 * 26, `${counts}`);
    assert.equal(drawnPluralities(tied, 4, 4, 1), drawn);
    assert.not.equal(drawnPluralities(tied, 4, 4, 2), drawn);
    assert.equal(drawnPluralities(tied.subarray(0, 400), 4, 4, 1), drawn.subarray(0, 100), 'whatever faces there are beside it');
  });

  test('have an entropy in nats and an agreement from 0 to 1', () => {
    assertClose([entropy([0.5, 0.5]), entropy([1, 0, 0]), entropy([0.25, 0.75])], [Math.log(2), 0, 0.5623351446188083]);
    assertClose([agreement([0.25, 0.25, 0.25, 0.25]), agreement([0, 1, 0])], [0, 1]);
  });

  test('are drawn by inversion, never a class without a share', () => {
    const shares = [0, 0.25, 0, 0.75, 0];
    assert.equal(
      [0, 0.2499, 0.25, 0.9999999].map((u) => drawClass(shares, u)),
      [1, 1, 3, 3],
    );
    assert.is(drawClass([0.1, 0.2, 0], 0.9), 1, 'a sum below 1 ends in the last possible class');
  });

  test('must be a table of as many columns', async () => {
    assert.is(rowCount(new Float32Array(20), 10, 8), 2);
    await rejects(() => distributions(new Float32Array(21), 10, 8), ShapeError, 'length 21', '[count, columns]');
    await rejects(() => rowCount(new Float32Array(20), 4, 8), ShapeError, '8 classes');
  });
});
