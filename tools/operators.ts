/** How to record the operator to which a shader belongs, from nothing but shapes. */
import { UsageError } from '#src/errors.js';
import * as ops from '#src/tensor/ops/index.js';
import type { Tape } from '#src/tensor/tape.js';
import type { Tensor } from '#src/tensor/tensor.js';

export type OperatorOptions = Record<string, number | string>;

interface Operator {
  /** The shaders that this operator launches for itself; add, copy and the like come with several. */
  shaders: RegExp;
  /** Shapes that it takes, for messages. */
  shapes: string[];
  record(tape: Tape, inputs: Tensor[], options: OperatorOptions): Tensor;
}

/** A vector of as many elements as the last axis has; `scale` and `shift` are trained. */
function channelVector(tape: Tape, label: string, input: Tensor, value: number): Tensor {
  const channels = input.shape.at(-1) ?? 1;
  const vector = tape.constant(label, [channels], new Float32Array(channels).fill(value));
  vector.differentiable = label === 'scale' || label === 'shift';
  return vector;
}

const ACTIVATIONS: Record<string, (tape: Tape, input: Tensor) => Tensor> = { relu: ops.relu, gelu: ops.gelu, silu: ops.silu };

const OPERATORS: Operator[] = [
  {
    shaders: /^(conv2d|depthwise|winograd)/,
    shapes: ['input NxHxWxC', 'weight HxWxCxC'],
    record: (tape, [input, weight], { padding = Math.floor(weight.shape[0] / 2), ...options }) =>
      ops.conv2d(tape, input, weight, { padding: Number(padding), ...options }),
  },
  {
    shaders: /^matmul/,
    shapes: ['a MxK', 'b KxN'],
    record: (tape, [a, b], { transposeA, transposeB }) =>
      ops.matmul(tape, a, b, { transposeA: Boolean(transposeA), transposeB: Boolean(transposeB) }),
  },
  {
    shaders: /^batch_norm/,
    shapes: ['input …xC'],
    record: (tape, [input], options) => {
      const vector = (label: string, value: number) => channelVector(tape, label, input, value);
      const [scale, runningVariance] = [vector('scale', 1), vector('variance', 1)];
      const [shift, runningMean] = [vector('shift', 0), vector('mean', 0)];
      return ops.batchNorm(tape, input, { scale, shift, runningMean, runningVariance }, options);
    },
  },
  {
    shaders: /^layer_norm/,
    shapes: ['input …xC'],
    record: (tape, [input]) =>
      ops.layerNorm(tape, input, { scale: channelVector(tape, 'scale', input, 1), shift: channelVector(tape, 'shift', input, 0) }),
  },
  {
    shaders: /^activation/,
    shapes: ['input, any'],
    record: (tape, [input], { kind = 'relu' }) => {
      const activation = ACTIVATIONS[kind];
      if (activation) return activation(tape, input);
      throw new UsageError(`there is no activation '${kind}'`, `Give kind=${Object.keys(ACTIVATIONS).join(' or ')}.`, {
        field: '--options',
      });
    },
  },
  {
    shaders: /^max_pool2d/,
    shapes: ['input NxHxWxC'],
    record: (tape, [input], options) => ops.maxPool2d(tape, input, { kernel: 2, ...options }),
  },
  {
    shaders: /^average_pool2d/,
    shapes: ['input NxHxWxC'],
    record: (tape, [input], options) => ops.averagePool2d(tape, input, { kernel: 2, ...options }),
  },
  {
    shaders: /^softmax_divergence/,
    shapes: ['logits NxC', 'target NxC'],
    record: (tape, [logits, target]) => ops.softmaxDivergence(tape, logits, target, { kind: 'cross-entropy' }).loss,
  },
  { shaders: /^softmax/, shapes: ['input …xC'], record: (tape, [input]) => ops.softmax(tape, input) },
  { shaders: /^dropout/, shapes: ['input, any'], record: (tape, [input], { rate = 0.5 }) => ops.dropout(tape, input, Number(rate)) },
  {
    shaders: /^arithmetic/,
    shapes: ['left, any', 'right, that broadcasts'],
    record: (tape, [left, right]) => ops.multiply(tape, left, right),
  },
  { shaders: /^scale/, shapes: ['input, any'], record: (tape, [input]) => ops.scale(tape, input, 0.5) },
  { shaders: /^(fold|sum)/, shapes: ['input, any'], record: (tape, [input]) => ops.sum(tape, input) },
  { shaders: /^permute/, shapes: ['input AxBxCxD'], record: (tape, [input]) => ops.permute(tape, input, [0, 2, 1, 3]) },
  { shaders: /^band/, shapes: ['input, any'], record: (tape, [input], { axis = 0 }) => ops.pad(tape, input, Number(axis), 0, 1) },
  {
    shaders: /^attention/,
    shapes: ['query …xTxD', 'key …xTxD', 'value …xTxD'],
    record: (tape, [query, key, value]) => ops.attention(tape, query, key, value),
  },
  { shaders: /^max_backward/, shapes: ['input, any'], record: (tape, [input]) => ops.max(tape, input) },
];

/**
 * Records the operator of a shader, forward and then backward, over inputs of the given shapes.
 * @param isWanted whether the gradient of an input is
 * @throws UsageError where no operator is known for the shader or the number of shapes is not its own.
 */
export function recordOperator(
  tape: Tape,
  shader: string,
  shapes: number[][],
  options: OperatorOptions,
  isWanted: (input: number) => boolean = () => true,
): { inputs: Tensor[]; gradient: Tensor; forwardLaunches: number } {
  const operator = OPERATORS.find(({ shaders }) => shaders.test(shader));
  if (!operator) {
    const known = OPERATORS.map(({ shaders }) => shaders.source.slice(1)).join(', ');
    throw new UsageError(`no operator is known for '${shader}'`, `Shaders that can be profiled alone begin with ${known}.`, {
      field: '--shader',
    });
  }
  if (shapes.length !== operator.shapes.length) {
    throw new UsageError(`${shapes.length} shapes for ${shader}`, `It takes ${operator.shapes.join(', ')}, separated by commas.`, {
      field: '--shape',
    });
  }
  const inputs = shapes.map((shape, i) => tape.input(`input${i + 1}`, shape, 'f32', isWanted(i)));
  const output = operator.record(tape, inputs, options);
  const forwardLaunches = tape.launches.length;
  const gradient = tape.input('output_gradient', output.shape);
  tape.backward(output, gradient);
  return { inputs, gradient, forwardLaunches };
}

/** '32x24x24x64,3x3x64x64' → [[32, 24, 24, 64], [3, 3, 64, 64]]. @throws UsageError for anything else. */
export function parseShapes(text: string): number[][] {
  return text.split(',').map((shape) => {
    const extents = shape.split(/[x×]/).map(Number);
    if (extents.every((extent) => Number.isInteger(extent) && extent > 0)) return extents;
    throw new UsageError(`'${shape}' is no shape`, 'Write whole numbers with x between them, shapes with commas: 32x24x24x64,3x3x64x64.', {
      field: '--shape',
    });
  });
}

/** 'stride=2,kind=gelu' → { stride: 2, kind: 'gelu' }. @throws UsageError where a part has no '='. */
export function parseOperatorOptions(text: string): OperatorOptions {
  const parts = text.split(',').map((part) => {
    const [name, value, ...rest] = part.split('=');
    if (!name || !value || rest.length > 0)
      throw new UsageError(`'${part}' is no option`, 'Write name=value: stride=2,padding=1.', { field: '--options' });
    return [name, Number.isNaN(Number(value)) ? value : Number(value)];
  });
  return Object.fromEntries(parts);
}
