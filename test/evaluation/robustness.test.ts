import { robustness, robustnessTable } from '#src/evaluation/robustness.js';
import { calibrationFigures, runEvaluationText } from '#src/evaluation/run-evaluation.js';
import { exampleEvaluation, exampleRecord } from '../report/example.js';
import { assert, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';

const clean = exampleEvaluation({ right: 80, confidence: 0.8 });
const corrupted = (name: string, severity: number, right: number) => ({
  name,
  severity,
  evaluation: exampleEvaluation({ right, confidence: 0.8 }),
});
const result = robustness(7, clean, [corrupted('fog', 1, 60), corrupted('fog', 5, 20), corrupted('jpeg', 1, 80), corrupted('jpeg', 5, 40)]);

suite('robustness', (test) => {
  test('severities are averaged, then corruptions', () => {
    assert.is(result.seed, 7);
    const [fog, jpeg] = result.corruptions;
    assert.equal([fog!.name, jpeg!.name], ['fog', 'jpeg']);
    assert.equal(
      fog!.severities.map(({ severity, accuracy }) => [severity, accuracy]),
      [
        [1, 0.6],
        [5, 0.2],
      ],
    );
    // (0.6 + 0.2) / 2 and (0.8 + 0.4) / 2, of 0.8
    assertClose([fog!.mean.accuracy, jpeg!.mean.accuracy, result.mean.accuracy], [0.4, 0.6, 0.5]);
    assertClose([fog!.relativeAccuracy, jpeg!.relativeAccuracy, result.relativeAccuracy], [0.5, 0.75, 0.625]);
    // all are 80 % sure: |0.6 − 0.8| and |0.2 − 0.8|; 0 and |0.4 − 0.8|
    assertClose([fog!.mean.ece, jpeg!.mean.ece, result.mean.ece], [0.4, 0.2, 0.3]);
  });

  test('the table has a line for each, with the accuracy at every severity', () => {
    const table = robustnessTable(result);
    assert.match(table, /corruption +accuracy +of clean +ECE +KL to votes +severity 1 +severity 5\n/);
    assert.match(table, /\n +none +80\.0 % +100\.0 % +0\.000 /);
    assert.match(table, /\n +fog +40\.0 % +50\.0 % +0\.400 +[\d.]+ +60\.0 % +20\.0 %\n/);
    assert.match(table, /\n +mean of corruptions +50\.0 % +62\.5 % +0\.300 /);
  });
});

suite('evaluation of a run', (test) => {
  const other = exampleEvaluation({ right: 50, confidence: 0.8 });

  test('the text has the parts that were measured', () => {
    const plain = runEvaluationText(exampleRecord(clean));
    assert.match(plain, 'Against the majority label (100 of 100 faces)');
    for (const word of ['Temperature', 'Without', 'share', 'corruption ', 'learned']) assert.not.match(plain, word);

    const text = runEvaluationText({
      ...exampleRecord(clean),
      copies: 3,
      withoutCopies: other,
      shift: { classes: ['happiness', 'fear'], leftOut: { model: ['contempt'], data: ['bored'], faces: 1234 } },
      temperature: {
        value: 1.5,
        validation: { before: calibrationFigures(other), after: calibrationFigures(clean) },
        evaluation: other,
      },
      robustness: result,
      findings: { spread: { value: -0.125, ideal: -0.5, about: 'mean cosine of two label embeddings' } },
    });
    assert.match(text, /What its paradigm has learned\n {2}mean cosine of two label embeddings +-0\.125 +\(-0\.500 at best\)\n/);
    assert.match(text, 'Without the 3 faces of which training has an exact copy: accuracy 50.00 %');
    assert.match(text, 'share: happiness, fear\n  left out: contempt of the model, and 1,234 faces with a majority for bored');
    assert.match(text, 'Temperature 1.500');
    assert.match(text, /before +0\.000 .*\n +after +0\.300 .*\n +validation, before +0\.300 .*\n +validation, after +0\.000 /);
    assert.match(text, 'mean of corruptions');
  });

  test('what the model alone knows is told too', () => {
    const text = runEvaluationText({ ...exampleRecord(clean), shift: { classes: [], leftOut: { model: [], data: [], faces: 0 } } });
    assert.match(text, 'left out: none of the model\n');
  });
});
