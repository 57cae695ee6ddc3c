import { UsageError } from '#src/errors.js';
import { parseCorruptions, parseSeverities } from '#src/run/evaluation.js';
import { CORRUPTION_NAMES } from '#src/tensor/ops/corrupt.js';
import { assert, rejects, suite } from '../support/suite.js';

suite('what to corrupt', (test) => {
  test('all corruptions, or some by name', async () => {
    assert.equal(parseCorruptions('all'), CORRUPTION_NAMES);
    assert.equal(parseCorruptions('jpeg,fog,jpeg'), ['jpeg', 'fog']);
    await rejects(() => parseCorruptions('fog,contrasts'), UsageError, '--corruptions', "'contrasts'", 'Did you mean contrast?', 'jpeg');
    await rejects(() => parseCorruptions('snowflakes'), UsageError, 'Give all, or some of');
  });

  test('severities as a range or a list', async () => {
    assert.equal(parseSeverities('1..5'), [1, 2, 3, 4, 5]);
    assert.equal(parseSeverities('3..3'), [3]);
    assert.equal(parseSeverities('5,1'), [5, 1]);
    for (const text of ['0', '6', '1..6', '4..2', '1,1', '1.5', 'all', '']) {
      await rejects(() => parseSeverities(text), UsageError, '--severities', '1..5');
    }
  });
});
