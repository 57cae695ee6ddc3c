/** Tokens of each face in an order of its own, and some of them taken: how a masked autoencoder (He et al. 2022) hides patches. */
import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { launchElementwise } from './elementwise.js';

/** An order of T tokens for each of N faces, and its inverse. */
export interface TokenOrder {
  /** Which token stands at each place, u32 [N, T]. */
  order: Tensor;
  /** At which place each token stands, u32 [N, T]. */
  place: Tensor;
}

/**
 * An order of T tokens drawn for each face, anew in every epoch: a function of seed, epoch, `indices` (u32 [N]) and how many uses of randomness the tape
 * recorded before.
 * @throws ShapeError unless `indices` is a list of u32, and there are tokens and no more than a workgroup can rank
 */
export function randomOrder(tape: Tape, indices: Tensor, tokens: number): TokenOrder {
  if (indices.shape.length !== 1 || indices.dtype !== 'u32' || !(tokens >= 1))
    throw new ShapeError(`order of ${tokens} tokens for ${indices.dtype} [${indices.shape}]`, 'Give u32 [N] and at least one token.');
  const most = tape.gpu.limits.maxComputeWorkgroupStorageSize / 4;
  if (tokens > most)
    throw new ShapeError(`order of ${tokens} tokens`, `This adapter ranks up to ${most}: use a larger --patch or a smaller --size.`);
  const [faces] = indices.shape;
  const order = tape.tensor('order', [faces, tokens], 'u32');
  const place = tape.tensor('place', [faces, tokens], 'u32');
  tape.launch('random_order', {
    constants: { TOKENS: tokens },
    params: { faces, stream: tape.nextStream() },
    tensors: { step: tape.step, indices, order, place },
    groups: faces,
  });
  return { order, place };
}

/**
 * The tokens at the first `count` places of each face's order, in that order: [N, T, D] → [N, count, D]. With `order` and `place` exchanged it puts tokens
 * back: [N, K, D] → [N, T, D], zeros where a token was not among the first K.
 * @throws ShapeError where tokens and order are not of as many faces, or there are not so many places
 */
export function takeTokens(tape: Tape, input: Tensor, { order, place }: TokenOrder, count: number): Tensor {
  const [faces, rows, width] = input.shape;
  const [, tokens] = order.shape;
  if (input.shape.length !== 3 || order.shape[0] !== faces || rows > tokens || !(count >= 1 && count <= tokens)) {
    throw new ShapeError(
      `${count} tokens taken from [${input.shape}] by an order [${order.shape}]`,
      'Give tokens [N, K, D], an order [N, T] and a count, where neither K nor the count is above T.',
    );
  }
  const output = tape.tensor('tokens', [faces, count, width], input.dtype);
  launchTake(tape, input, order, output);
  return tape.record({
    name: 'take_tokens',
    inputs: [input],
    output,
    gradient(outputGradient) {
      const inputGradient = tape.gradientTarget(input);
      launchTake(tape, tape.view(outputGradient, output.shape), place, inputGradient);
      return [inputGradient];
    },
  });
}

function launchTake(tape: Tape, input: Tensor, index: Tensor, output: Tensor): void {
  const [, rows, width] = input.shape;
  const [, count] = output.shape;
  const [, pitch] = index.shape;
  const constants = { RUN: width % 4 === 0 ? 4 : 1 };
  launchElementwise(tape, 'take_tokens', output, { input, index, output }, { params: { rows, count, pitch, width }, constants });
}
