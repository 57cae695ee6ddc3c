import { ShapeError } from '#src/errors.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { type ModelName, type ModelOptions, models } from '#src/nn/models.js';
import { Parameters } from '#src/nn/parameters.js';
import { normal } from '#src/random.js';
import { softmaxDivergence } from '#src/tensor/ops/index.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, randomArray } from '../support/tensors.js';

interface Recording {
  batch: number;
  size: number;
  channels?: number;
  training?: boolean;
  options?: Partial<ModelOptions>;
}

/** The model on a tape; nothing is compiled, so that even the largest costs little. */
function record(gpu: Gpu, model: ModelName, { batch, size, channels = 1, training = false, options }: Recording) {
  const tape = new Tape(gpu, { training });
  const parameters = Parameters.create();
  const faces = tape.input('faces', [batch, size, size, channels]);
  const logits = models[model]({ tape, parameters, path: '' }, faces, { classes: 8, width: 1, dropout: 0, ...options });
  return { tape, parameters, faces, logits };
}

/**
 * Trained values at width 1 with 8 classes, worked out by hand.
 * small: stem 9·C·16 + 32, blocks 14,528 + 57,728 + 230,144, head 1,032.
 * vgg13: first convolution 9·C·64 + 64, the nine others 3,503,936, dense layers 256·(size/16)²·1024 + 1,024 and 1,049,600, head 8,200. FER+ has 64×64 grey faces.
 * vit: patches (size/8)²·C·192 + 192, class token and 65 positions of 192, 4 blocks of 444,864 (norms 768, attention 111,168 + 37,056, layers of 768
 * 148,224 + 147,648), norm 384, head 1,544; from 96 pixels 16²·C·192 + 192 and 1 + (size/16)² positions.
 * vit-tiny, vit-small and vit-base: the 5,717,416, 22,050,664 and 86,567,656 of timm's vit_…_patch16_224 less their heads for 1000 classes, (D + 1)·1000, with (D + 1)·8.
 * resnet18: the 11,689,512 of torchvision less its stem and head (9,408 + 513,000), with the head 4,104 and the stem 9·C·64, from 96 pixels 49·C·64.
 */
const COUNTS: [ModelName, size: number, channels: number, count: number][] = [
  ['small', 48, 1, 303_608],
  ['small', 64, 1, 303_608],
  ['small', 112, 3, 303_896],
  ['vgg13', 48, 1, 6_922_696],
  ['vgg13', 64, 1, 8_757_704],
  ['vgg13', 64, 3, 8_758_856],
  ['vgg13', 112, 1, 17_408_456],
  ['resnet18', 48, 1, 11_171_784],
  ['resnet18', 64, 3, 11_172_936],
  ['resnet18', 112, 1, 11_174_344],
  ['resnet18', 112, 3, 11_180_616],
  ['vit', 48, 1, 1_801_160],
  ['vit', 64, 1, 1_806_536],
  ['vit', 224, 3, 1_967_048],
  ['vit-tiny', 224, 3, 5_525_960],
  ['vit-small', 224, 3, 21_668_744],
  ['vit-base', 224, 3, 85_804_808],
];

/** Side of the last feature map, from halvings counted by hand; networks for large faces halve them once or twice more in the stem. */
const SIDES: [ModelName, size: number, side: number][] = [
  ['small', 48, 6],
  ['small', 64, 8],
  ['small', 112, 7],
  ['resnet18', 48, 6],
  ['resnet18', 64, 8],
  ['resnet18', 112, 4],
];

/** Tiny forms of all, the second with the stem for large faces. */
const TINY: [ModelName, Recording][] = [
  ['small', { batch: 3, size: 24, options: { width: 0.25 } }],
  ['resnet18', { batch: 2, size: 96, channels: 3, options: { width: 0.125 } }],
  ['vgg13', { batch: 3, size: 32, options: { width: 0.02 } }],
  ['vit', { batch: 3, size: 24, options: { width: 0.125 } }],
  ['vit', { batch: 3, size: 24, options: { width: 0.125, pooling: 'mean', patch: 6 } }],
];

gpuSuite('models', (test) => {
  for (const [model, size, channels, count] of COUNTS) {
    test(`${model} for ${size}×${size}×${channels} gives 8 logits from ${count.toLocaleString('en-US')} weights`, async (gpu) => {
      const { parameters, logits } = record(gpu, model, { batch: 5, size, channels });
      assert.equal(logits.shape, [5, 8]);
      assert.is(parameters.count(), count);
    });
  }

  for (const [model, size, side] of SIDES) {
    test(`${model} makes a feature map of ${side}×${side} out of ${size}×${size}`, async (gpu) => {
      const { tape } = record(gpu, model, { batch: 5, size });
      const pooled = tape.launches.find(({ shader }) => shader.name === 'average_pool2d_forward')!.tensors.input!;
      assert.equal(pooled.shape, [5, side, side, model === 'small' ? 128 : 512]);
    });
  }

  test('parameters of small keep the names that checkpoints have', async (gpu) => {
    const { parameters } = record(gpu, 'small', { batch: 2, size: 16 });
    const layer = (path: string) =>
      ['conv.weight', 'norm.scale', 'norm.shift', 'norm.running_mean', 'norm.running_variance'].map((name) => `${path}.${name}`);
    const blocks = [1, 2, 3].map((stage) => `stage${stage}.block1`);
    const expected = [
      layer('stem'),
      ...blocks.flatMap((block) => ['first', 'second', 'projection'].map((part) => layer(`${block}.${part}`))),
      'head.weight',
      'head.bias',
    ];
    assert.equal([...parameters.entries.keys()].sort(), expected.flat().sort());
  });

  test('width multiplies the channels, in eights', async (gpu) => {
    const stem = (width: number) =>
      record(gpu, 'resnet18', { batch: 1, size: 48, options: { width } }).parameters.entries.get('stem.conv.weight')!.tensor.shape;
    assert.equal(stem(0.5), [3, 3, 1, 32]);
    assert.equal(stem(0.3), [3, 3, 1, 16]);
    assert.equal(stem(0.01), [3, 3, 1, 8]);
  });

  test('dropout of vgg13 is 1/4 after each group and 1/2 after each dense layer, and absent in evaluation', async (gpu) => {
    const rates = (training: boolean) =>
      record(gpu, 'vgg13', { batch: 2, size: 48, training, options: { dropout: 0.5 } })
        .tape.launches.filter(({ shader }) => shader.name === 'dropout')
        .map(({ params }) => params.rate);
    assert.equal(rates(true), [0.25, 0.25, 0.25, 0.25, 0.5, 0.5]);
    assert.equal(rates(false), []);
  });

  test('vit drops paths more often in later blocks, none in the first, and none in evaluation', async (gpu) => {
    const rates = (training: boolean) =>
      record(gpu, 'vit', { batch: 2, size: 48, training, options: { dropPath: 0.375 } })
        .tape.launches.filter(({ shader }) => shader.name === 'dropout')
        .map(({ params }) => params.rate);
    assert.equal(rates(true), [0.125, 0.125, 0.25, 0.25, 0.375, 0.375]);
    assert.equal(rates(false), []);
  });

  test('vit refuses faces that do not divide into patches', async (gpu) => {
    for (const size of [50, 100]) {
      await rejects(() => record(gpu, 'vit', { batch: 1, size }), ShapeError, `${size}×${size}`, '--size');
    }
    await rejects(() => record(gpu, 'vit', { batch: 1, size: 48, options: { patch: 7 } }), ShapeError, 'a multiple of 7 pixels', '--patch');
  });

  test('vit has patches of the side that is asked for', async (gpu) => {
    const { parameters } = record(gpu, 'vit', { batch: 1, size: 60, channels: 3, options: { patch: 12 } });
    const shape = (name: string) => parameters.entries.get(name)!.tensor.shape;
    assert.equal(
      [shape('patches.weight'), shape('positions')],
      [
        [12 * 12 * 3, 192],
        [1, 26, 192],
      ],
    );
  });

  for (const [model, recording] of TINY) {
    test(`${model} gives every parameter a gradient`, async (gpu) => {
      const { tape, parameters, faces, logits } = record(gpu, model, { ...recording, training: true });
      const targets = tape.constant('targets', logits.shape, randomArray([logits.size], 2).map(Math.abs));
      const { loss } = softmaxDivergence(tape, logits, targets, { kind: 'cross-entropy' });
      tape.backward(loss);
      const program = await Program.compile(gpu, tape, { keep: [loss] });
      parameters.initialise(gpu, (stream, index) => normal(1, stream, index));
      program.write(faces, randomArray([...faces.shape], 3));
      program.run();
      assert.ok(Number.isFinite((await program.read(loss))[0]));
      for (const [name, { tensor }] of parameters.entries) {
        if (!tensor.gradientSlot) continue;
        const gradient = (await program.read(tensor.gradientSlot)) as Float32Array;
        const norm = Math.hypot(...gradient);
        assert.ok(norm > 0 && Number.isFinite(norm), `the gradient of ${name} has norm ${norm}`);
      }
      program.destroy();
      parameters.destroy(gpu);
    });

    test(`${model} sees each face by itself in evaluation`, async (gpu) => {
      const { tape, parameters, faces, logits } = record(gpu, model, recording);
      const program = await Program.compile(gpu, tape, { keep: [logits] });
      parameters.initialise(gpu, (stream, index) => normal(1, stream, index));
      const [batch, ...extent] = faces.shape as [number, ...number[]];
      const pixels = Array.from({ length: batch }, (_, face) => randomArray(extent, 10 + face));
      const rows = async (order: number[]) => {
        const values = new Float32Array(faces.size);
        order.forEach((face, row) => {
          values.set(pixels[face]!, row * pixels[face]!.length);
        });
        program.write(faces, values);
        program.run();
        const all = await program.read(logits);
        return order.map((_, row) => all.slice(row * 8, row * 8 + 8));
      };
      const forwards = await rows(pixels.map((_, face) => face));
      const backwards = await rows(pixels.map((_, face) => batch - 1 - face));
      forwards.forEach((row, face) => {
        assertClose(backwards[batch - 1 - face]!, row, { relative: 1e-5, absolute: 1e-5 }, `logits of face ${face}`);
      });
      assert.not.equal(forwards[0], forwards[1]);
      program.destroy();
      parameters.destroy(gpu);
    });
  }
});
