import { predictionTable } from '#src/report/prediction-table.js';
import { assert, suite } from '../support/suite.js';

suite('prediction table', (test) => {
  test('shows the likeliest first, with bars and entropy', () => {
    const table = predictionTable([{ image: 'a.png', probabilities: { fear: 0.1, surprise: 0.9, joy: 0 }, entropy: 0.325 }]);
    assert.is(
      table,
      `a.png\n  surprise   90.0 %  ${'█'.repeat(27)}\n  fear       10.0 %  ███\n  joy         0.0 %\n  entropy 0.325 of at most 1.099 nats\n`,
    );
  });

  test('separates images by an empty line', () => {
    const one = { image: 'a', probabilities: { x: 1, y: 0 }, entropy: 0 };
    assert.is(predictionTable([one, { ...one, image: 'b' }]).split('\n\n').length, 2);
  });
});
