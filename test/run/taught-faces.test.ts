import { type FaceSet, NO_LABEL } from '#src/faces/face-set.js';
import { withCandidates, withWrongLabels } from '#src/labels/noise.js';
import { candidateLesson, pluralityLesson, singleLabelLesson, voteLesson } from '#src/paradigms/lessons.js';
import { taughtFaces } from '#src/run/taught-faces.js';
import { assert, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';

const classes = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const columns = classes.length + 1;
const count = 300;
const votes = Float32Array.from({ length: count * columns }, (_, i) => (i % columns === Math.floor(i / columns) % 8 ? 7 : i % 3));
const faces: FaceSet = {
  ...{ name: 'many', classes, count, height: 1, width: 1, channels: 1, pixels: new Uint8Array(count) },
  ...{ voteNames: [...classes, 'unknown'], votes, ids: Array.from({ length: count }, (_, face) => `${face}`) },
  labels: Uint8Array.from({ length: count }, (_, face) => (face % 10 === 0 ? NO_LABEL : face % 8)),
};
const table = { columns, classes: classes.length, seed: 5 };

suite('taught faces', (test) => {
  test('are those of the dataset unless something is asked for', () => {
    assert.is(taughtFaces(faces, { wrongLabels: 0, candidates: 0, seed: 5 }), faces);
  });

  test('are made wrong before they become candidate sets', () => {
    const wrong = withWrongLabels(votes, { ...table, share: 0.5 });
    const { votes: hidden, labels } = withCandidates(wrong.votes, { ...table, rate: 0.4 });
    const taught = taughtFaces(faces, { wrongLabels: 0.5, candidates: 0.4, seed: 5 });
    assert.equal(taught.votes, hidden);
    assert.equal(
      [...taught.labels!],
      [...labels].map((label, face) => (face % 10 === 0 ? NO_LABEL : label)),
    );
    assert.equal(taughtFaces(faces, { wrongLabels: 0.5, candidates: 0, seed: 5 }).votes, wrong.votes);
    const without = wrong.exchanged.filter((pair, face) => pair && hidden[face * columns + pair[0]] === 0).length;
    assert.ok(without > 0, 'the right class is nowhere left out');
  });

  test('show every paradigm the same candidates', () => {
    const taught = taughtFaces(faces, { wrongLabels: 0, candidates: 0.7, seed: 5 }); // more than five of eight, most often
    const { faces: kept, targets: masks } = candidateLesson(taught, 2);
    assert.is(kept.length, count);
    const sizes = Array.from(kept, (_, row) => masks.subarray(row * 8, row * 8 + 8).reduce((sum, one) => sum + one, 0));
    assert.ok(sizes.filter((size) => size > 5).length > count / 3, `${sizes}`);
    masks.forEach((mask, i) => assert.is(mask, taught.votes[Math.floor(i / 8) * columns + (i % 8)] > 0 ? 1 : 0));
    assert.equal([...candidateLesson(taught, 5).targets], [...masks], 'a higher threshold drops some');
    assertClose(
      voteLesson(taught).targets,
      masks.map((mask, i) => mask / sizes[Math.floor(i / 8)]),
    );
    const oneHot = pluralityLesson(taught, 5).targets;
    oneHot.forEach((target, i) => assert.ok(target <= masks[i]));
    const single = singleLabelLesson(taught);
    assert.is(single.faces.length, count * 0.9);
    single.faces.forEach((face, row) => {
      assert.equal([...single.targets.subarray(row * 8, row * 8 + 8)], [...oneHot.subarray(face * 8, face * 8 + 8)]);
    });
  });
});
