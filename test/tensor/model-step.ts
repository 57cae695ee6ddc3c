import type { Gpu } from '#src/gpu/gpu.js';
import { type ModelName, models } from '#src/nn/models.js';
import { Parameters } from '#src/nn/parameters.js';
import { isVisionTransformer } from '#src/nn/vision-transformer.js';
import { OPTIMIZER_DEFAULTS } from '#src/optim/optimizer.js';
import { normal } from '#src/random.js';
import { recordUpdate } from '#src/run/learner.js';
import { softmaxDivergence } from '#src/tensor/ops/index.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import { randomArray } from '../support/tensors.js';

/** One of each kind: the larger vision transformers record the same launches more often. */
export const NETWORKS = (Object.keys(models) as ModelName[]).filter((model) => model === 'vit' || !isVisionTransformer(model));

/** A training step; nothing is allocated. */
export function recordStep(gpu: Gpu, model: ModelName, batch: number, width = 1) {
  const tape = new Tape(gpu, { training: true });
  const parameters = Parameters.create();
  const faces = tape.input('faces', [batch, 48, 48, 1]);
  const targets = tape.input('targets', [batch, 8]);
  const logits = models[model]({ tape, parameters, path: '' }, faces, { classes: 8, width, dropout: 0.5 });
  const { loss } = softmaxDivergence(tape, logits, targets, { kind: 'cross-entropy' });
  tape.backward(loss);
  const { norm, state } = recordUpdate(tape, parameters, OPTIMIZER_DEFAULTS.sgd);
  return { tape, parameters, faces, targets, state, keep: [loss, norm] };
}

/** Weights after two training steps, and the second step's loss and gradient norm; with each tensor in memory of its own where `apart`. */
export async function trainTwice(gpu: Gpu, model: ModelName, { apart = false, recompute = false } = {}) {
  const { tape, parameters, faces, targets, state, keep } = recordStep(gpu, model, 5, 0.25);
  const all = tape.launches.flatMap(({ tensors }) => Object.values(tensors));
  const program = await Program.compile(gpu, tape, { keep: apart ? all : keep, recompute });
  parameters.initialise(gpu, (stream, index) => normal(1, stream, index));
  program.write(faces, randomArray([...faces.shape], 1));
  program.write(targets, new Float32Array(targets.size).fill(1 / 8));
  program.write(tape.step, new Uint32Array(Float32Array.of(0, 0, 0.1, 0, 1, 1, 0, 0).buffer));
  program.run();
  program.run();
  const results = [...(await parameters.read(gpu)).values()].map(({ data }) => data);
  for (const tensor of keep) results.push((await program.read(tensor)) as Float32Array);
  const { peakBytes } = program.memory;
  const launches = program.launches.length;
  program.destroy();
  parameters.destroy(gpu);
  for (const tensor of state.values()) tensor.storage?.destroy(gpu);
  return { results, peakBytes, launches };
}
