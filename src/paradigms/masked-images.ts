/** What can be learned from faces without their annotations: how parts of a face follow from others (He et al. 2022). */
import { type HiddenPatches, hiddenPatches, reconstructionError } from '../nn/masked-autoencoder.js';
import { VISION_TRANSFORMERS, type VisionTransformerName } from '../nn/vision-transformer.js';
import { mean, reshape } from '../tensor/ops/index.js';
import type { Tensor } from '../tensor/tensor.js';
import { type Constants, paradigm } from './paradigm.js';
import type { Student } from './student.js';

/** Learns from all faces, and leaves an encoder: no model that judges. */
export const maskedImages = paradigm({
  summary: 'hidden patches are to be told from the others; annotations are not looked at',
  constants: {
    hidden: { value: 0.75, min: 0, max: 1, about: 'share of the patches that are hidden' },
    decoderDepth: { value: 2, min: 1, about: 'blocks of the decoder' },
  },
  lesson: ({ count }) => ({ faces: Uint32Array.from({ length: count }, (_, face) => face), targets: new Float32Array(count) }),
  loss(step) {
    const patches = hiddenPatchesOf(step.student, step.faces(), step.indices, step.constants);
    return reshape(step.tape, mean(step.tape, reconstructionError(step.tape, patches)), [1]);
  },
});

/** Hides patches of faces [N, H, W, C] by their numbers `indices`, u32 [N], and asks the student, a vision transformer, and a decoder what they are. */
export function hiddenPatchesOf(
  student: Student,
  faces: Tensor,
  indices: Tensor,
  { hidden, decoderDepth }: Constants<'hidden' | 'decoderDepth'>,
): HiddenPatches {
  const scopes = { encoder: student.scope, decoder: student.auxiliary('decoder') };
  const sizes = VISION_TRANSFORMERS[student.model as VisionTransformerName];
  return hiddenPatches(scopes, faces, indices, { sizes, model: student.options, hidden, decoderDepth });
}
