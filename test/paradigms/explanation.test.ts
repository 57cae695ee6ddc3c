import { UsageError } from '#src/errors.js';
import type { Gpu } from '#src/gpu/gpu.js';
import type { ModelName } from '#src/nn/models.js';
import { Parameters } from '#src/nn/parameters.js';
import { constantsOf, explanationOf, logitsOf, type ParadigmName, paradigms } from '#src/paradigms/index.js';
import { Student } from '#src/paradigms/student.js';
import { normal } from '#src/random.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import { assert, gpuSuite, rejects, suite } from '../support/suite.js';
import { assertClose, randomArray } from '../support/tensors.js';

const [FACES, SIZE, CLASSES] = [2, 24, 3];

function studentOf(gpu: Gpu, model: ModelName) {
  const tape = new Tape(gpu);
  const parameters = Parameters.create();
  const student = new Student({ tape, parameters, path: '' }, model, { classes: CLASSES, width: 0.125, dropout: 0.5 });
  return { tape, parameters, student, faces: tape.input('faces', [FACES, SIZE, SIZE, 1]) };
}

/** The logits of a paradigm, its explanation, and the bias of the last layer. */
async function explain(gpu: Gpu, model: ModelName, name: ParadigmName, settings = '') {
  const { tape, parameters, student, faces } = studentOf(gpu, model);
  const constants = constantsOf(name, settings);
  const logits = logitsOf(paradigms[name], constants, student, faces);
  const explanation = explanationOf(paradigms[name], constants, student, faces);
  const program = await Program.compile(gpu, tape, { keep: [logits, explanation.logits, explanation.maps] });
  for (const [path, entry] of parameters.entries) if (path.endsWith('head.bias')) entry.initial = (values) => values.set([1, 2, 3]);
  parameters.initialise(gpu, (stream, index) => normal(1, stream, index));
  program.write(faces, randomArray([...faces.shape], 3, 2));
  program.run();
  const [said, again, maps] = [await program.read(logits), await program.read(explanation.logits), await program.read(explanation.maps)];
  program.destroy();
  parameters.destroy(gpu);
  return { kind: explanation.kind, shape: explanation.maps.shape, logits: said as Float32Array, again, maps: maps as Float32Array };
}

/** Sums of the maps. */
function sums(maps: Float32Array): number[] {
  const places = maps.length / (FACES * CLASSES);
  return Array.from({ length: FACES * CLASSES }, (_, i) => maps.subarray(i * places, (i + 1) * places).reduce((a, b) => a + b));
}

gpuSuite('explanations', (test) => {
  for (const [model, name, settings] of [
    ['small', 'distribution', ''],
    ['resnet18', 'moue', ''],
    ['small', 'pll-mim', 'decoder=0'],
  ] as [ModelName, ParadigmName, string][]) {
    test(`class activation maps of ${model} by ${name} make up its logits`, async (gpu) => {
      const { kind, shape, logits, again, maps } = await explain(gpu, model, name, settings);
      assert.equal([kind, shape], ['activation', [FACES, CLASSES, 3, 3]]);
      assertClose(again, logits);
      const wanted = sums(maps).map((sum, i) => sum / 9 + [1, 2, 3][i % CLASSES]);
      assertClose(logits, wanted, { relative: 1e-4, absolute: 1e-4 });
      assert.ok(Math.max(...maps) - Math.min(...maps) > 0.1);
    });
  }

  for (const [model, side] of [
    ['small', 3],
    ['vgg13', 1],
    ['vit', 8],
  ] as [ModelName, number][]) {
    test(`label queries look at places of the map of ${model}`, async (gpu) => {
      const { kind, shape, logits, again, maps } = await explain(gpu, model, 'pll-mim', 'width=16');
      assert.equal([kind, shape], ['attention', [FACES, CLASSES, side, side]]);
      assertClose(again, logits);
      assertClose(sums(maps), new Array(FACES * CLASSES).fill(1));
    });
  }

  for (const [model, name, part] of [
    ['vgg13', 'distribution', 'vgg13 has no maps'],
    ['vit', 'distribution', 'vit has no maps'],
    ['small', 'scn', 'judges by more than the network'],
  ] as [ModelName, ParadigmName, string][]) {
    test(`${name} on ${model} cannot be explained`, async (gpu) => {
      const { student, faces } = studentOf(gpu, model);
      const record = () => explanationOf(paradigms[name], constantsOf(name, ''), student, faces);
      await rejects(record, UsageError, '--explain', part, '--paradigm pll-mim', '--model small or resnet18');
    });
  }
});

suite('what pll-mim tells of its label embeddings', (test) => {
  const findings = (rows: number[][]) => {
    const embeddings = { shape: [rows.length, rows[0].length], data: rows.flat() };
    return paradigms['pll-mim'].findings!(new Map([['auxiliary.label_queries.embeddings', embeddings]]))!;
  };
  const valuesOf = (rows: number[][]) => {
    const { labelEmbeddingCosine: mean, largestLabelEmbeddingCosine: largest } = findings(rows);
    assert.is(mean.ideal, largest.ideal);
    return [mean.ideal, mean.value, largest.value];
  };

  test('mean and largest cosine are at their best in a simplex of any lengths', () => {
    const corners = [
      [2, 2, 2],
      [1, -1, -1],
      [-3, 3, -3],
      [-1, -1, 1],
    ];
    assertClose(valuesOf(corners), [-1 / 3, -1 / 3, -1 / 3]);
  });

  test('the largest tells opposite heaps, whose mean is as good', () => {
    assertClose(valuesOf([[1, 0], [5, 0], [-1, 0], [-2, 0]]), [-1 / 3, -1 / 3, 1]); // biome-ignore format: a matrix
    assertClose(valuesOf([[1, 1], [1, 0], [0, 2]]), [-1 / 2, Math.SQRT2 / 3, Math.SQRT1_2]); // biome-ignore format: a matrix
  });

  test('there is nothing to tell without a decoder', () => {
    assert.is(paradigms['pll-mim'].findings!(new Map()), undefined);
  });
});
