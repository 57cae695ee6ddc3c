import { UsageError } from '#src/errors.js';
import { openDataset } from '#src/faces/dataset.js';
import { EXPRESSIONS } from '#src/faces/expressions.js';
import { NO_LABEL, pixelsOf, votesOf } from '#src/faces/face-set.js';
import { plurality } from '#src/labels/votes.js';
import { assert, rejects, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';
import { OPTIONS } from './fixtures.js';

const GENERATED = { ...OPTIONS, size: 16, count: 200 };
const CONTEMPT = EXPRESSIONS.indexOf('contempt');
const SURPRISE = EXPRESSIONS.indexOf('surprise');

suite('classes left out', (test) => {
  test('take their faces and columns with them; the other faces stay as they are', async () => {
    const [whole, rest] = await Promise.all([
      openDataset('generated', GENERATED),
      openDataset('generated', { ...GENERATED, leaveOut: ['surprised', 'contempt'] }),
    ]);
    const kept = EXPRESSIONS.map((_, c) => c).filter((c) => c !== CONTEMPT && c !== SURPRISE);
    assert.equal(rest.classes, kept.map((c) => EXPRESSIONS[c])); // biome-ignore format: one call
    assert.equal(rest.train.voteNames, [...rest.classes, 'unknown', 'NF']);
    const counted: Record<string, number> = { surprise: 0, contempt: 0 };
    let strays = 0;
    for (const split of ['train', 'validation', 'test'] as const) {
      const [before, after] = [whole[split], rest[split]];
      let next = 0;
      for (let face = 0; face < before.count; face++) {
        const votes = votesOf(before, face);
        const name = EXPRESSIONS[plurality(votes.subarray(0, 8))];
        if (name === 'surprise' || name === 'contempt') {
          counted[name]++;
          continue;
        }
        assert.is(after.ids[next], before.ids[face]);
        assert.equal(pixelsOf(after, next), pixelsOf(before, face));
        assert.equal([...votesOf(after, next)], [...kept.map((c) => votes[c]), votes[8], votes[9]]);
        const truth = kept.map((c) => before.truth![8 * face + c]);
        const sum = truth.reduce((left, right) => left + right, 0);
        assertClose(after.truth!.subarray(6 * next, 6 * next + 6), truth.map((share) => share / sum), { absolute: 1e-6 }); // biome-ignore format: one call
        const label = before.labels![face];
        const expected = kept.includes(label) ? kept.indexOf(label) : NO_LABEL;
        if (expected === NO_LABEL && label !== NO_LABEL) strays++;
        assert.is(after.labels![next], expected);
        next++;
      }
      assert.is(after.count, next);
    }
    assert.equal(rest.leftOut, counted);
    assert.ok(counted.surprise > 5 && counted.contempt > 0 && strays > 0, JSON.stringify({ counted, strays }));
  });

  test('have to be classes, and to leave two', async () => {
    await rejects(() => openDataset('generated', { ...GENERATED, leaveOut: ['awe'] }), UsageError, "no class 'awe'", '--leave-out');
    await rejects(() => openDataset('generated', { ...GENERATED, leaveOut: EXPRESSIONS.slice(1) }), UsageError, 'fewer than two');
  });
});
