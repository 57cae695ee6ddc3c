import { InputError } from '#src/errors.js';
import { learningCurves, pretrainingCurves } from '#src/report/learning-curves.js';
import { ACCENT, PALE_ACCENT, PALE_INK, SECOND_ACCENT } from '#src/report/palette.js';
import { assert, rejects, suite } from '../support/suite.js';
import { decoded, exampleLog } from './example.js';

suite('learning curves', (test) => {
  test('four panels with their curves', async () => {
    const picture = decoded(await learningCurves(exampleLog(5)));
    assert.ok(picture.width > 1400 && picture.height > 1000, `${picture.width} × ${picture.height}`);
    assert.ok(picture.pixelsOfColour(ACCENT) > 3000);
    assert.ok(picture.pixelsOfColour(SECOND_ACCENT) > 1000);
    assert.ok(picture.pixelsOfColour(PALE_ACCENT) > 100);
  });

  test('the test is marked once there is one', async () => {
    const log = exampleLog(5);
    const finished = decoded(await learningCurves(log)).pixelsOfColour(SECOND_ACCENT);
    const running = decoded(await learningCurves(log.filter(({ type }) => type !== 'test'))).pixelsOfColour(SECOND_ACCENT);
    assert.ok(finished > running, `${finished} pixels with and ${running} without a test`);
  });

  test('a known truth adds a curve', async () => {
    const log = exampleLog(5);
    for (const record of log) if (record.type === 'epoch') record.validation.klToTruth = 0.3;
    const known = decoded(await learningCurves(log)).pixelsOfColour(SECOND_ACCENT);
    assert.ok(known > 1.5 * decoded(await learningCurves(exampleLog(5))).pixelsOfColour(SECOND_ACCENT));
  });

  test('one epoch is enough', async () => {
    assert.ok(decoded(await learningCurves(exampleLog(1))).pixelsOfColour(ACCENT) > 100);
  });

  test('long logs are thinned, not cut', async () => {
    const log = exampleLog(2);
    const steps = Array.from({ length: 20_000 }, (_, i) => ({
      ...({ type: 'step', step: i, learningRate: 0, gradientNorm: 0 } as const),
      epoch: i / 10_000,
      loss: 1,
    }));
    const picture = decoded(await learningCurves([...steps, ...log.filter(({ type }) => type !== 'step')]));
    assert.ok(picture.pixelsOfColour(PALE_ACCENT) > 650); // a line all along its panel of 680 pixels
  });

  test('a log without a finished epoch is refused', async () => {
    await rejects(() => learningCurves([]), InputError, 'no finished epoch', 'at least one epoch');
    await rejects(() => pretrainingCurves([], 1), InputError, 'no finished epoch', 'at least one epoch');
  });

  test('pretraining has the errors of epochs, validation and blank patches in one panel', async () => {
    const epochs = [1, 2, 3].map((epoch) => ({
      type: 'epoch' as const,
      epoch,
      trainLoss: 1.1 - epoch / 10,
      validation: { loss: 1 - epoch / 10 },
    }));
    const picture = decoded(await pretrainingCurves(epochs, 1));
    assert.ok(picture.width > 1100 && picture.height > 560, `${picture.width} × ${picture.height}`);
    for (const colour of [ACCENT, SECOND_ACCENT, PALE_INK]) assert.ok(picture.pixelsOfColour(colour) > 100, colour);
  });
});
