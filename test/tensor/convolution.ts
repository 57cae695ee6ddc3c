/** Runs of convolutions beside their reference. */
import type { Gpu } from '#src/gpu/gpu.js';
import { scale } from '#src/tensor/ops/arithmetic.js';
import { type Conv2dOptions, conv2d } from '#src/tensor/ops/conv2d.js';
import { type Convolution, conv2dGradients, conv2dShape, conv2d as reference } from '../reference/conv2d.js';
import { columnSums } from '../reference/matmul.js';
import { assertClose, randomArray, runOp } from '../support/tensors.js';

export const nameOf = ({ shape, weight, stride, padding, dilation, groups }: Convolution) =>
  [
    `[${shape}] * [${weight}]`,
    stride && `stride ${stride}`,
    padding && `padding ${padding}`,
    dilation && `dilation ${dilation}`,
    groups && `groups ${groups}`,
  ]
    .filter(Boolean)
    .join(' ');

export function optionsOf({ stride, padding, dilation, groups }: Convolution): Conv2dOptions {
  return { ...(stride && { stride }), ...(padding && { padding }), ...(dilation && { dilation }), ...(groups && { groups }) };
}

export function operandsOf(convolution: Convolution) {
  return {
    input: randomArray(convolution.shape, 1),
    weight: randomArray(convolution.weight, 2),
    bias: randomArray([convolution.weight[3]], 3),
    residual: randomArray(conv2dShape(convolution), 4),
    outputGradient: randomArray(conv2dShape(convolution), 5),
  };
}

type Operands = ReturnType<typeof operandsOf>;

export function inputsOf(convolution: Convolution, { input, weight, bias, residual }: Operands) {
  return {
    input: { shape: convolution.shape, data: input, differentiable: true },
    weight: { shape: convolution.weight, data: weight, differentiable: true },
    bias: { shape: [convolution.weight[3]], data: bias, differentiable: true },
    residual: { shape: conv2dShape(convolution), data: residual, differentiable: true },
  };
}

/** Without anything behind it, and with bias, residual and ReLU. */
export function run(gpu: Gpu, convolution: Convolution, operands: Operands, fused: boolean) {
  return runOp(
    gpu,
    inputsOf(convolution, operands),
    (tape, t) => {
      const epilogue: Conv2dOptions = fused ? { bias: t.bias, residual: t.residual, activation: 'relu' } : {};
      return conv2d(tape, t.input, t.weight, { ...optionsOf(convolution), ...epilogue });
    },
    { outputGradient: operands.outputGradient },
  );
}

export function expected(convolution: Convolution, { input, weight, bias, residual, outputGradient }: Operands, fused: boolean) {
  const linear = reference(input, weight, convolution);
  const sum = fused ? linear.map((value, i) => value + bias[i % bias.length] + residual[i]) : linear;
  const stopped = sum.map((value) => Number(fused && value <= 0));
  const gradient = outputGradient.map((value, i) => (stopped[i] ? 0 : value));
  return {
    output: sum.map((value, i) => (stopped[i] ? 0 : value)),
    gradients: { ...conv2dGradients(input, weight, gradient, convolution), bias: columnSums(gradient, bias.length), residual: gradient },
  };
}

export async function compareWithReference(gpu: Gpu, convolution: Convolution, operands = operandsOf(convolution)) {
  for (const fused of [false, true]) {
    const { outputs, gradients } = await run(gpu, convolution, operands, fused);
    const wanted = expected(convolution, operands, fused);
    // Rounding grows with the number of terms, not with the result.
    const close = { relative: 1e-5, absolute: 2e-5 };
    assertClose(outputs.output, wanted.output, close, 'output');
    for (const name of ['input', 'weight', ...(fused ? ['bias', 'residual'] : [])] as ('input' | 'weight' | 'bias' | 'residual')[]) {
      assertClose(gradients[name], wanted.gradients[name], close, `gradient of ${name}`);
    }
  }
}

/** In memory that held NaN before. */
export async function compareInUsedMemory(gpu: Gpu, convolution: Convolution) {
  const operands = operandsOf(convolution);
  const sizes = [operands.input.length, operands.weight.length, operands.residual.length];
  const poison = Object.fromEntries(
    sizes.map((size, i) => [`poison${i}`, { shape: [size], data: new Float32Array(size).fill(Number.NaN) }]),
  );
  const { outputs, gradients } = await runOp(
    gpu,
    { ...inputsOf(convolution, operands), ...poison },
    (tape, t) => {
      for (const name in poison) scale(tape, t[name], 1);
      return conv2d(tape, t.input, t.weight, optionsOf(convolution));
    },
    { outputGradient: operands.outputGradient },
  );
  const wanted = expected(convolution, operands, false);
  assertClose(outputs.output, wanted.output, { absolute: 2e-5 }, 'output');
  assertClose(gradients.input, wanted.gradients.input, { absolute: 2e-5 }, 'gradient of input');
  assertClose(gradients.weight, wanted.gradients.weight, { absolute: 2e-5 }, 'gradient of weight');
}
