"""PyTorch, native code: the peer to beat where there is CUDA. Driven as serve.mjs is: `python3 pytorch.py VARIANT CASE`.

Variants: torch (eager, float32 without TF32), torch-tf32, torch-compile (float32). Any version from 1.13 on; on the processor where there is no CUDA.
Images are NCHW, dense weights [inputs, outputs].
"""

import json
import math
import os
import sys
import time

import torch
import torch.nn.functional as F

FACE_SIZE = 48
CLASSES = 8
FIRST_SEED = 7
WORD = 0xFFFFFFFF

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")


# The numbers of tools/bench-models.ts and src/random.ts, in words of 32 bits held in int64, whose products wrap as theirs do.


def mulberry32(count, seed):
    """Tommy Ettinger's generator, [count] in [0, 1)."""
    state = (seed + 0x6D2B79F5 * torch.arange(1, count + 1)) & WORD
    word = ((state ^ (state >> 15)) * (state | 1)) & WORD
    word = ((word + (word ^ (word >> 7)) * (word | 61)) & WORD) ^ word
    return (word ^ (word >> 14)).double() / 2**32


def high_word(a, b):
    """The upper word of the products of a constant and words."""
    return ((a * (b >> 16)) + ((a * (b & 0xFFFF)) >> 16)) >> 16


def normal(count, seed, stream):
    """Standard normal numbers from Philox4x32-10, `normal` of src/random.ts."""
    a, b = torch.arange(count), torch.zeros(count, dtype=torch.int64)
    c, d = torch.full((count,), stream), torch.ones(count, dtype=torch.int64)
    k, l = seed, 0
    for _ in range(10):
        a, b, c, d = (
            high_word(0xCD9E8D57, c) ^ b ^ k,
            (0xCD9E8D57 * c) & WORD,
            high_word(0xD2511F53, a) ^ d ^ l,
            (0xD2511F53 * a) & WORD,
        )
        k, l = (k + 0x9E3779B9) & WORD, (l + 0xBB67AE85) & WORD
    return torch.sqrt(-2 * torch.log((a.double() + 0.5) / 2**32)) * torch.cos(b.double() / 2**32 * 2 * math.pi)


def uniform(shape, bound, seed):
    return ((2 * mulberry32(math.prod(shape), seed) - 1) * bound).float().reshape(shape)


def targets(batch):
    rows = torch.exp(3 * mulberry32(batch * CLASSES, 5)).reshape(batch, CLASSES)
    return (rows / rows.sum(1, keepdim=True)).float()


class ComparedValues:
    """First values of m1, m2 and m3 (tools/bench-models.ts)."""

    def __init__(self):
        self.tensors = []

    def drawn(self, shape, bound):
        return self.keep(uniform(shape, bound, FIRST_SEED + len(self.tensors) + 1))

    def filled(self, channels, value):
        return self.keep(torch.full((channels,), float(value)))

    def running(self, channels):
        """Statistics that a batch norm keeps; they are no parameters, and are not counted."""
        return torch.zeros(channels, device=DEVICE), torch.ones(channels, device=DEVICE)

    def convolution(self, kernel, inputs, outputs):
        return self.drawn((outputs, inputs, kernel, kernel), math.sqrt(6 / (kernel * kernel * inputs)))

    def dense(self, inputs, outputs):
        return self.drawn((inputs, outputs), math.sqrt(3 / inputs))

    def keep(self, values):
        self.tensors.append(values.to(DEVICE).requires_grad_())
        return self.tensors[-1]


class OwnValues(ComparedValues):
    """First values of src/nn: every tensor has its stream of normal numbers, in the order of declaration, whether it draws or not."""

    def __init__(self):
        super().__init__()
        self.streams = 0

    def normal(self, shape, deviation):
        return (deviation * normal(math.prod(shape), 1, self.streams)).float().reshape(shape)

    def running(self, channels):
        self.streams += 2
        return super().running(channels)

    def convolution(self, kernel, inputs, outputs):
        values = self.normal((kernel, kernel, inputs, outputs), math.sqrt(2 / (kernel * kernel * inputs)))
        return self.keep(values.permute(3, 2, 0, 1).contiguous())

    def dense(self, inputs, outputs):
        return self.keep(self.normal((inputs, outputs), math.sqrt(2 / (inputs + outputs))))

    def keep(self, values):
        self.streams += 1
        return super().keep(values)


# Layers declare their parameters when they are made, and are then functions of x.


def convolution(values, inputs, outputs, kernel=3, stride=1, bias=False):
    weight = values.convolution(kernel, inputs, outputs)
    shift = values.filled(outputs, 0) if bias else None
    return lambda x: F.conv2d(x, weight, shift, stride, kernel // 2)


def convolution_same(values, inputs, outputs, kernel=3, stride=1):
    """With zeros as TensorFlow's 'SAME' has them: the odd one below and to the right."""
    weight = values.convolution(kernel, inputs, outputs)

    def apply(x):
        if stride == 1:
            return F.conv2d(x, weight, None, 1, kernel // 2)
        size = x.shape[2]
        zeros = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        before, behind = zeros // 2, zeros - zeros // 2
        return F.conv2d(F.pad(x, (before, behind, before, behind)), weight, None, stride)

    return apply


def batch_norm(values, channels):
    scale, shift = values.filled(channels, 1), values.filled(channels, 0)
    mean, variance = values.running(channels)
    return lambda x: F.batch_norm(x, mean, variance, scale, shift, training=True, eps=1e-5)


def dense(values, inputs, outputs):
    weight, bias = values.dense(inputs, outputs), values.filled(outputs, 0)
    return lambda x: x @ weight + bias


def layer_norm(values, width):
    scale, shift = values.filled(width, 1), values.filled(width, 0)
    return lambda x: F.layer_norm(x, (width,), scale, shift, 1e-6)


def attention(query, key, value):
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(query, key, value)
    return torch.softmax(query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5, -1) @ value


def chain(*layers):
    def apply(x):
        for layer in layers:
            x = layer(x)
        return x

    return apply


def convolution_norm_relu(values, make, inputs, channels, **sizes):
    return chain(make(values, inputs, channels, **sizes), batch_norm(values, channels), torch.relu)


def halve(x):
    return F.max_pool2d(x, 2)


def average(x):
    return x.mean((2, 3))


def m1(values):
    def layer(inputs, channels):
        return convolution_norm_relu(values, convolution_same, inputs, channels)

    first = chain(layer(1, 32), layer(32, 32), halve)
    second = chain(layer(32, 64), layer(64, 64), halve)
    return chain(first, second, layer(64, 128), average, dense(values, 128, CLASSES))


def m2(values):
    def block(inputs, channels, stride):
        first = convolution_norm_relu(values, convolution_same, inputs, channels, stride=stride)
        second = chain(convolution_same(values, channels, channels), batch_norm(values, channels))
        if inputs == channels:
            return lambda x: torch.relu(second(first(x)) + x)
        shortcut = chain(convolution_same(values, inputs, channels, 1, stride), batch_norm(values, channels))
        return lambda x: torch.relu(second(first(x)) + shortcut(x))

    stem = convolution_norm_relu(values, convolution_same, 1, 64)
    return chain(stem, *residual_stages(block, 64, [64, 128, 256, 512], 2), average, dense(values, 512, CLASSES))


def residual_stages(block, inputs, widths, blocks, strides=(1, 2, 2, 2)):
    made = []
    for channels, first_stride in zip(widths, strides):
        for stride in [first_stride] + [1] * (blocks - 1):
            made.append(block(inputs, channels, stride))
            inputs = channels
    return made


def m3(values):
    patch, width, depth, heads = 6, 192, 4, 3
    side = FACE_SIZE // patch
    tokens = side * side + 1
    to_patches = dense(values, patch * patch, width)
    bound = math.sqrt(6 / width)
    class_token, positions = values.drawn((1, 1, width), bound), values.drawn((1, tokens, width), bound)

    def block():
        norm, joint, joined = layer_norm(values, width), dense(values, width, 3 * width), dense(values, width, width)
        wide_norm, wide, narrow = layer_norm(values, width), dense(values, width, 4 * width), dense(values, 4 * width, width)

        def apply(x):
            batch = x.shape[0]
            parts = joint(norm(x)).reshape(batch, tokens, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
            seen = attention(parts[0], parts[1], parts[2]).permute(0, 2, 1, 3).reshape(batch, tokens, width)
            x = x + joined(seen)
            return x + narrow(F.gelu(wide(wide_norm(x))))

        return apply

    blocks = chain(*[block() for _ in range(depth)])
    norm, head = layer_norm(values, width), dense(values, width, CLASSES)

    def apply(x):
        batch = x.shape[0]
        rows = x.reshape(batch, side, patch, side, patch).permute(0, 1, 3, 2, 4).reshape(batch, tokens - 1, patch * patch)
        x = torch.cat([class_token.expand(batch, 1, width), to_patches(rows)], 1) + positions
        return head(norm(blocks(x))[:, 0])

    return apply


def own_block(values):
    def block(inputs, channels, stride):
        first = convolution_norm_relu(values, convolution, inputs, channels, stride=stride)
        second = convolution(values, channels, channels)
        changes = stride != 1 or inputs != channels
        shortcut = chain(convolution(values, inputs, channels, 1, stride), batch_norm(values, channels)) if changes else lambda x: x
        norm = batch_norm(values, channels)
        return lambda x: torch.relu(norm(second(first(x))) + shortcut(x))

    return block


def small(values):
    stem = convolution_norm_relu(values, convolution, 1, 16)
    stages = residual_stages(own_block(values), 16, [32, 64, 128], 1, strides=(2, 2, 2))
    return chain(stem, *stages, average, dense(values, 128, CLASSES))


def resnet18(values):
    stem = convolution_norm_relu(values, convolution, 1, 64)
    stages = residual_stages(own_block(values), 64, [64, 128, 256, 512], 2)
    return chain(stem, *stages, average, dense(values, 512, CLASSES))


def vgg13(values):
    layers, inputs = [], 1
    for channels, count in [(64, 2), (128, 2), (256, 3), (256, 3)]:
        for _ in range(count):
            layers += [convolution(values, inputs, channels, bias=True), torch.relu]
            inputs = channels
        layers += [halve, lambda x: F.dropout(x, 0.25)]
    layers.append(lambda x: x.permute(0, 2, 3, 1).flatten(1))  # the weights of the next layer are drawn for NHWC
    inputs = 256 * 3 * 3
    for _ in range(2):
        layers += [dense(values, inputs, 1024), torch.relu, lambda x: F.dropout(x, 0.5)]
        inputs = 1024
    return chain(*layers, dense(values, inputs, CLASSES))


MODELS = {
    "m1": (m1, ComparedValues),
    "m2": (m2, ComparedValues),
    "m3": (m3, ComparedValues),
    "small": (small, OwnValues),
    "resnet18": (resnet18, OwnValues),
    "vgg13": (vgg13, OwnValues),
}
# Dropout draws other masks here than there: after it no two losses are alike.
WITHOUT_LOSSES = ["vgg13"]


def training_step(compiled, model, batch):
    make, first_values = MODELS[model]
    values = first_values()
    network = make(values)
    images = uniform((batch, 1, FACE_SIZE, FACE_SIZE), 1, 3).to(DEVICE)
    wanted = targets(batch).to(DEVICE)
    forward = compiled(lambda x: F.cross_entropy(network(x), wanted))
    optimizer = adam(values.tensors)

    def step():
        loss = forward(images)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return None if model in WITHOUT_LOSSES else loss.detach()

    return step


def adam(tensors):
    """One launch for all parameters where this version has that."""
    return torch.optim.Adam(tensors, 1e-3, eps=1e-7, **({"fused": True} if CUDA else {}))


def image_shape(shape):
    batch, height, width, channels = shape
    return batch, channels, height, width


def weight_shape(shape):
    height, width, inputs, outputs = shape
    return outputs, inputs, height, width


def with_vectors(shape):
    return [shape, shape[-1:], shape[-1:]]


def product(a, b, transposeA=0, transposeB=0):
    return (a.transpose(-1, -2) if transposeA else a) @ (b.transpose(-1, -2) if transposeB else b)


# Shapes here from those of NHWC and HWIO, and the operator.
OPERATORS = {
    "matmul": (lambda shapes: shapes, product),
    "conv2d": (
        lambda shapes: [image_shape(shapes[0]), weight_shape(shapes[1])],
        lambda x, weight, stride=1, groups=1: F.conv2d(x, weight, None, stride, weight.shape[2] // 2, 1, groups),
    ),
    "batch_norm": (
        lambda shapes: [image_shape(shapes[0]), shapes[0][3:], shapes[0][3:]],
        lambda x, scale, shift: F.batch_norm(x, None, None, scale, shift, training=True, eps=1e-5),
    ),
    "layer_norm": (
        lambda shapes: with_vectors(shapes[0]),
        lambda x, scale, shift: F.layer_norm(x, scale.shape, scale, shift, 1e-5),
    ),
    "softmax": (lambda shapes: shapes, lambda x: torch.softmax(x, -1)),
    "softmax_divergence": (lambda shapes: shapes, F.cross_entropy),
    # With an axis for the batch, which its fast kernels want.
    "attention": (lambda shapes: [[1, *shape] for shape in shapes], attention),
}


def convolution_gradient(x, weight, gradient, wrt, stride=1, groups=1):
    """The bare kernel: autograd would run the forward convolution again."""
    mask = [wrt == 0, wrt == 1, False]
    padding = [weight.shape[2] // 2] * 2
    sizes = (None, [stride] * 2, padding, [1, 1], False, [0, 0], groups)
    return torch.ops.aten.convolution_backward(gradient, x, weight, *sizes, mask)[wrt]


def operator_run(compiled, op, shapes, options, **wanted):
    """@param wanted `pass`: 'forward', 'backward' (of a convolution) or 'both'; `wrt`: the one input whose gradient is wanted, absent: all"""
    if op == "adamw":
        return adam_run(shapes[0])
    shapes_here, apply = OPERATORS[op]
    inputs = [uniform(shape, 1, i + 1).to(DEVICE) for i, shape in enumerate(shapes_here(shapes))]
    forward = lambda *tensors: apply(*tensors, **options)
    if wanted["pass"] == "forward":
        run = compiled(forward)
        return lambda: discard(run(*inputs))
    with torch.no_grad():
        gradient = torch.rand_like(forward(*inputs))
    wrt = wanted.get("wrt")
    if wanted["pass"] == "backward":
        run = compiled(lambda x, weight, dy: convolution_gradient(x, weight, dy, wrt, **options))
        return lambda: discard(run(*inputs, gradient))
    differentiable = inputs if wrt is None else [inputs[wrt]]
    for tensor in differentiable:
        tensor.requires_grad_()
    run = compiled(forward)
    return lambda: discard(torch.autograd.grad(run(*inputs), differentiable, gradient))


def adam_run(shape):
    weight = uniform(shape, 1, 1).to(DEVICE).requires_grad_()
    weight.grad = uniform(shape, 1, 2).to(DEVICE)
    optimizer = adam([weight])
    return lambda: discard(optimizer.step())


def discard(_):
    return None


def finish():
    if CUDA:
        torch.cuda.synchronize()


def sample(run, repeats):
    """Queues so many steps and waits for them. Returns the time of one in ms, and the losses."""
    finish()
    begun = time.perf_counter()
    losses = [run() for _ in range(repeats)]
    finish()
    step_ms = (time.perf_counter() - begun) * 1000 / repeats
    known = [loss for loss in losses if loss is not None]
    values = torch.stack(known).tolist() if known else []
    return step_ms, [value if math.isfinite(value) else None for value in values]  # JSON has no NaN


def measure(run, repeats, steps, limitMs):
    """Samples, fewer where the limit is reached; at least one."""
    step_ms, losses = [], []
    begun = time.perf_counter()
    while len(step_ms) < steps and (not step_ms or (time.perf_counter() - begun) * 1000 < limitMs):
        one_ms, own_losses = sample(run, repeats)
        step_ms.append(one_ms)
        losses += own_losses
    return {"stepMs": step_ms, "losses": losses}


def compiler(variant):
    """What a variant makes of a function, having set the precision. @raise RuntimeError where it cannot run here."""
    tf32 = variant == "torch-tf32"
    if tf32 and not CUDA:
        raise RuntimeError("TF32 needs CUDA")
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    if variant != "torch-compile":
        return lambda function: function
    if not hasattr(torch, "compile"):
        raise RuntimeError(f"torch {torch.__version__} has no torch.compile")
    return torch.compile


def main(variant, case):
    # Whatever libraries print goes to stderr: stdout holds nothing but answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(message):
        print(json.dumps(message), file=answers, flush=True)

    try:
        wanted = json.loads(case)
        enough_ms = wanted.pop("enoughMs")
        run = (training_step if "model" in wanted else operator_run)(compiler(variant), **wanted)
        (_, first), (step_ms, second) = sample(run, 1), sample(run, 1)
        repeats = math.ceil(max(1, enough_ms / step_ms))
        say({"losses": first + second, "engine": variant if CUDA else f"{variant} CPU"})
        for line in sys.stdin:
            say(measure(run, repeats, **json.loads(line)))
    except Exception as error:  # whatever it is, the benchmark says it and goes on
        say({"error": (str(error).strip() or type(error).__name__).split("\n")[0]})


if __name__ == "__main__":
    main(*sys.argv[1:])
