import type { Dataset, FaceSet } from '#src/faces/face-set.js';

const CLASSES = ['anger', 'fear'];

/** Faces of one grey each, with votes for anger, fear and nothing. */
function facesWith(name: string, votes: readonly (readonly number[])[], greys: readonly number[]): FaceSet {
  return {
    ...{ name, classes: CLASSES, voteNames: [...CLASSES, 'unknown'], count: votes.length, height: 2, width: 2, channels: 1 },
    pixels: Uint8Array.from(greys.flatMap((grey) => [grey, grey, grey, grey])),
    votes: Float32Array.from(votes.flat()),
    ids: greys.map((_, face) => `${name} ${face}`),
    ...(name === 'test' && { places: greys.map((_, face) => `list.txt, line ${face + 1}`) }),
  };
}

/** Nine faces in three splits: with votes for no class, ties, copies within and across splits, and two images that could not be read. */
export function exampleDataset(): Dataset {
  return {
    name: 'example',
    classes: CLASSES,
    train: facesWith('train', [[10, 0, 0], [5, 5, 0], [4, 2, 4], [0, 0, 3], [1, 3, 0]], [1, 2, 3, 4, 2]), // biome-ignore format: one row
    validation: facesWith('validation', [[0, 0, 2], [0, 0, 1]], [5, 6]), // biome-ignore format: one row
    test: facesWith('test', [[1, 0, 0], [0, 1, 0]], [7, 3]), // biome-ignore format: one row
    notes: ['a note'],
    problems: [
      { kind: 'missing', id: 'a.jpg', place: 'list.txt, line 9', message: 'a.jpg: there is no such file' },
      { kind: 'unreadable', id: 'b.jpg', place: 'list.txt, line 10', message: 'b.jpg: "cut", off' },
    ],
    leftOut: { uncertain: 3, none: 0 },
  };
}
