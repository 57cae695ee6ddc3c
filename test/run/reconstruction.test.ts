import type { FaceSet } from '#src/faces/face-set.js';
import { reconstructions } from '#src/run/reconstruction.js';
import { assert, suite } from '../support/suite.js';

suite('reconstructions', (test) => {
  // Two faces of 4×4 in colour, cut into four patches of 2×2.
  const pixels = Uint8Array.from({ length: 2 * 48 }, (_, i) => (i * 37) % 251);
  const faces: FaceSet = {
    ...{ name: 'two', classes: [], count: 2, height: 4, width: 4, channels: 3, pixels },
    ...{ voteNames: [], votes: new Float32Array(0), ids: [] },
  };
  /** Where the bytes of a patch lie in its face, in the order of the patch. */
  const places = (patch: number) =>
    [0, 1].flatMap((y) => Array.from({ length: 6 }, (_, i) => ((2 * (patch >> 1) + y) * 4 + 2 * (patch & 1)) * 3 + i));
  const bytesOf = (face: number) => pixels.slice(48 * face, 48 * (face + 1));
  const normalised = (values: number[]) => {
    const mean = values.reduce((sum, value) => sum + value, 0) / 12;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 11);
    return { mean, deviation, values: values.map((value) => (value - mean) / deviation) };
  };

  test('show hidden patches in grey, and what is said of them by the mean and deviation of the truth', () => {
    const placed = new Float32Array(2 * 4 * 13);
    const truth = normalised(places(2).map((place) => bytesOf(1)[place]!));
    placed.set([1, ...truth.values], (4 + 2) * 13); // the truth itself
    placed.set([1, 1, ...Array(11).fill(0)], (4 + 1) * 13);
    const [first, second] = reconstructions(faces, placed);
    for (const part of ['masked', 'completed', 'original'] as const) assert.equal(first![part], bytesOf(0), part);
    assert.equal(second!.original, bytesOf(1));
    const masked = bytesOf(1);
    for (const place of [...places(1), ...places(2)]) masked[place] = 128;
    assert.equal(second!.masked, masked);
    const completed = bytesOf(1);
    const { mean, deviation } = normalised(places(1).map((place) => completed[place]!));
    places(1).forEach((place, i) => {
      completed[place] = Math.round(Math.min(255, mean + (i === 0 ? deviation : 0)));
    });
    assert.equal(second!.completed, completed);
  });
});
