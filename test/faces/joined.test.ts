import type { FaceSet, StoredPixels } from '#src/faces/face-set.js';
import { selectFaces } from '#src/faces/face-set.js';
import { joinFaces } from '#src/faces/joined.js';
import { assert, rejects, suite } from '../support/suite.js';

const EXTENT = { height: 2, width: 1, channels: 3 as const };
const BYTES = 6;

/** Faces whose bytes tell which they are. */
function setOf(name: string, count: number, first: number): FaceSet {
  const pixels = Uint8Array.from({ length: count * BYTES }, (_, i) => 10 * (first + Math.floor(i / BYTES)) + (i % BYTES));
  const ids = Array.from({ length: count }, (_, i) => `${i}.png`);
  return { name, count, ...EXTENT, pixels, ids, classes: [name], voteNames: [name], votes: new Float32Array(count) };
}

/** The same pixels as if they were in a file. */
function stored(pixels: Uint8Array): StoredPixels {
  return {
    length: pixels.length,
    subarray: (start, end) => pixels.slice(start, end),
    select: () => {
      throw new Error('parts are not selected from');
    },
    async read(faces, into) {
      await Promise.resolve();
      Array.from(faces).forEach((face, i) => void into.set(pixels.subarray(face * BYTES, (face + 1) * BYTES), i * BYTES));
    },
  };
}

suite('joined faces', (test) => {
  const [first, second, third] = [setOf('first', 3, 0), setOf('second', 1, 3), setOf('third', 4, 4)];
  const all = setOf('all', 8, 0);
  const joined = joinFaces([first!, { ...second!, pixels: stored(second!.pixels as Uint8Array) }, third!]);
  const expected = (faces: number[]) =>
    Uint8Array.from(faces.flatMap((face) => [...all.pixels.subarray(face * BYTES, (face + 1) * BYTES)]));

  test('are those of the sets one behind the other, without annotations', () => {
    const { count, name, ids, classes, votes } = joined;
    assert.equal([count, name, classes, votes.length], [8, 'first and second and third', [], 0]);
    assert.equal(ids.slice(2, 5), ['first 2.png', 'second 0.png', 'third 0.png']);
    assert.is(joined.pixels.length, 8 * BYTES);
    assert.equal(joined.pixels.subarray(0, 8 * BYTES), all.pixels);
    assert.equal(joined.pixels.subarray(2 * BYTES, 6 * BYTES), expected([2, 3, 4, 5]));
    assert.equal(joinFaces([first!]).ids, first!.ids);
  });

  test('are read in any order, also when some were selected', async () => {
    const into = new Uint8Array(40);
    const { pixels } = joined as { pixels: StoredPixels };
    await pixels.read([7, 3, 0, 0, 4, 5], into);
    assert.equal(into.slice(0, 36), expected([7, 3, 0, 0, 4, 5]));
    const chosen = selectFaces(joined, [6, 3, 1]);
    assert.equal(chosen.ids, ['third 2.png', 'second 0.png', 'first 1.png']);
    assert.equal(chosen.pixels.subarray(0, 3 * BYTES), expected([6, 3, 1]));
    await (chosen.pixels as StoredPixels).read([2, 0], into);
    assert.equal(into.slice(0, 12), expected([1, 6]));
    await rejects(() => pixels.subarray(1, BYTES), RangeError, 'no whole faces');
  });

  test('have one extent', async () => {
    await rejects(() => joinFaces([first!, { ...second!, height: 1, width: 2 }]), TypeError, 'one extent');
  });
});
