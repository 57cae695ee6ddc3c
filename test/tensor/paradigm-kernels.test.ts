/** Kernels that serve one paradigm each, against the formulas of their papers in float64. */
import { ShapeError } from '#src/errors.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { randomWords } from '#src/random.js';
import { updateClassDistribution } from '#src/tensor/ops/class-distribution.js';
import { drawnLabel } from '#src/tensor/ops/drawn-label.js';
import { enqueue, updatePrototypes } from '#src/tensor/ops/memory-bank.js';
import { mirror } from '#src/tensor/ops/mirror.js';
import { normalNoise } from '#src/tensor/ops/normal-noise.js';
import { normaliseRows } from '#src/tensor/ops/normalise-rows.js';
import { rankRegularisation } from '#src/tensor/ops/rank-regularisation.js';
import { relabel } from '#src/tensor/ops/relabel.js';
import { trustedVotes } from '#src/tensor/ops/trusted-votes.js';
import { writeRows } from '#src/tensor/ops/write-rows.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import { softmaxRow } from '../reference/partial-label.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';

function rowOf(values: ArrayLike<number>, row: number, width: number): number[] {
  return Array.from({ length: width }, (_, i) => values[row * width + i]);
}

gpuSuite('rank regularisation', (test) => {
  for (const [count, margin] of [
    [2, 0.5],
    [7, 2],
    [65, 0.5],
    [257, 3],
    [257, 0.1],
  ]) {
    test(`of ${count} faces at margin ${margin}`, async (gpu) => {
      const data = randomArray([count, 1], 1);
      if (count > 10) data[9] = data[3]; // equals
      const { outputs, gradients } = await runOp(
        gpu,
        { importance: { shape: [count, 1], data, differentiable: true } },
        (tape, { importance }) => {
          const { loss, high } = rankRegularisation(tape, importance, { share: 0.7, margin });
          return { output: loss, high };
        },
        { outputGradient: Float32Array.of(2) },
      );
      const highCount = Math.floor(0.7 * count);
      const order = [...data.keys()].sort((a, b) => data[b] - data[a] || a - b);
      const high = Float64Array.from(data, (_, i) => (order.indexOf(i) < highCount ? 1 : 0));
      const mean = (group: number) =>
        data.reduce((sum, value, i) => sum + (high[i] === group ? value : 0), 0) / (group ? highCount : count - highCount);
      const loss = Math.max(0, margin - (mean(1) - mean(0)));
      assert.equal(outputs.high, Float32Array.from(high));
      assertClose(outputs.output, [loss]);
      assertClose(
        gradients.importance,
        high.map((h) => (loss > 0 ? 2 * (h ? -1 / highCount : 1 / (count - highCount)) : 0)),
      );
    });
  }

  test('NaN shows, and an empty group is refused', async (gpu) => {
    const data = Float32Array.of(1, Number.NaN, 0.5);
    const { outputs } = await runOp(
      gpu,
      { x: { shape: [3], data } },
      (tape, { x }) => rankRegularisation(tape, x, { share: 0.5, margin: 1 }).loss,
    );
    assertClose(outputs.output, [Number.NaN]);
    const tape = new Tape(gpu);
    await rejects(() => rankRegularisation(tape, tape.input('x', [1]), { share: 0.7, margin: 1 }), ShapeError, 'larger batch');
  });
});

gpuSuite('relabelling', (test) => {
  for (const isOpen of [false, true]) {
    test(isOpen ? 'replaces doubtful labels outside the high group' : 'leaves all labels alone behind a closed gate', async (gpu) => {
      const [batch, classes, count, margin] = [67, 5, 80, 0.2];
      const logits = randomArray([batch, classes], 1, 2);
      const labels = Float32Array.from({ length: count * classes }, (_, i) => (i % classes === Math.floor(i / classes) % classes ? 1 : 0));
      const rows = Uint32Array.from({ length: batch }, (_, i) => (i * 7 + 3) % count);
      const targets = Float32Array.from(
        { length: batch * classes },
        (_, i) => labels[rows[Math.floor(i / classes)] * classes + (i % classes)],
      );
      const high = Float32Array.from({ length: batch }, (_, i) => (i % 3 === 0 ? 1 : 0));
      const tape = new Tape(gpu);
      const table = tape.input('table', [count, classes]);
      const constant = (name: string, shape: number[], data: Float32Array | Uint32Array) => tape.constant(name, shape, data);
      const inputs = {
        logits: constant('logits', [batch, classes], logits),
        targets: constant('targets', [batch, classes], targets),
        high: constant('high', [batch], high),
        rows: constant('rows', [batch], rows),
      };
      tape.behind({ isOpen }, () => relabel(tape, table, inputs, margin));
      const program = await Program.compile(gpu, tape);
      program.write(table, labels);
      program.run();
      const wanted = Float32Array.from(labels);
      let changed = 0;
      for (let i = 0; i < batch; i++) {
        const p = softmaxRow(rowOf(logits, i, classes));
        const best = p.indexOf(Math.max(...p));
        const label = rowOf(targets, i, classes).indexOf(1);
        if (!isOpen || high[i] || p[best] - p[label] <= margin) continue;
        wanted.set(
          p.map((_, c) => (c === best ? 1 : 0)),
          rows[i] * classes,
        );
        changed++;
      }
      assert.equal(await program.read(table), wanted);
      assert.is(changed > 5, isOpen);
      program.destroy();
    });
  }
});

gpuSuite('class distributions', (test) => {
  test('are means over an epoch, with a fallback for classes that are not sure of themselves', async (gpu) => {
    const [batch, classes, threshold, steps] = [9, 4, 0.5, 3];
    const tape = new Tape(gpu);
    const logits = tape.input('logits', [batch, classes]);
    const targets = tape.input('targets', [batch, classes]);
    const begins = tape.input('begins', [1]);
    const sums = tape.input('sums', [classes, classes + 1]);
    const distribution = tape.input('distribution', [classes, classes]);
    updateClassDistribution(tape, { sums, distribution, begins }, { logits, targets }, threshold);
    const program = await Program.compile(gpu, tape);
    const label = (step: number, i: number) => (step + i) % (classes - 1); // the last class has no face
    const means = Array.from({ length: classes }, () => new Float64Array(classes));
    const counts = new Float64Array(classes);
    const run = (step: number, first: boolean) => {
      // Classes 0 and 1 are told well, class 2 is not.
      const data = randomArray([batch, classes], step);
      for (let i = 0; i < batch; i++) if (label(step, i) < 2) data[i * classes + label(step, i)] += 3;
      program.write(logits, data);
      program.write(
        targets,
        Float32Array.from({ length: batch * classes }, (_, i) => (i % classes === label(step, Math.floor(i / classes)) ? 1 : 0)),
      );
      program.write(begins, Float32Array.of(first ? 1 : 0));
      program.run();
      for (let i = 0; i < batch; i++) {
        counts[label(step, i)]++;
        softmaxRow(rowOf(data, i, classes)).forEach((p, c) => {
          means[label(step, i)][c] += p;
        });
      }
    };
    const fallback = (own: number) => Array.from({ length: classes }, (_, c) => (c === own ? threshold : (1 - threshold) / (classes - 1)));
    run(0, true);
    assertClose(await program.read(distribution), [0, 1, 2, 3].flatMap(fallback));
    for (let step = 1; step < steps; step++) run(step, false);
    const wanted = means.flatMap((mean, own) => {
      const row = Array.from(mean, (sum) => sum / counts[own]);
      return row[own] >= threshold ? row : fallback(own);
    });
    run(steps, true);
    assertClose(await program.read(distribution), wanted);
    assert.is.not(wanted[0], threshold);
    assert.equal(wanted.slice(2 * classes, 3 * classes), fallback(2));
    program.destroy();
  });
});

gpuSuite('mirror', (test) => {
  for (const shape of [
    [1, 1, 1, 1],
    [2, 3, 5, 3],
    [3, 7, 8, 64],
  ]) {
    test(`of [${shape}]`, async (gpu) => {
      const [, , width, channels] = shape;
      const data = randomArray(shape, 1);
      const { outputs } = await runOp(gpu, { x: { shape, data } }, (tape, { x }) => mirror(tape, x));
      const wanted = Float32Array.from(data, (_, i) => {
        const x = Math.floor(i / channels) % width;
        return data[i + (width - 1 - 2 * x) * channels];
      });
      assert.equal(outputs.output, wanted);
    });
  }

  test('gradient agrees with finite differences', async (gpu) => {
    await checkGradients(gpu, { x: { shape: [2, 2, 3, 2], data: randomArray([2, 2, 3, 2], 1), differentiable: true } }, (tape, { x }) =>
      mirror(tape, x),
    );
  });
});

gpuSuite('drawn labels', (test) => {
  test('are those of the inverted distribution, one per face and epoch', async (gpu) => {
    const [rows, classes, seed] = [131, 5, 1];
    const shares = randomArray([rows, classes], 2).map((x) => Math.max(0, x));
    for (let row = 0; row < rows; row++) {
      const sum = rowOf(shares, row, classes).reduce((a, b) => a + b, 0);
      for (let c = 0; c < classes; c++) shares[row * classes + c] /= sum || 1;
    }
    shares.fill(0, 0, classes); // nobody voted
    const indices = Uint32Array.from({ length: rows }, (_, i) => 7 * i + 1);
    const { outputs } = await runOp(
      gpu,
      { shares: { shape: [rows, classes], data: shares }, indices: { shape: [rows], data: indices } },
      (tape, inputs) => drawnLabel(tape, inputs.shares, inputs.indices),
    );
    for (let row = 0; row < rows; row++) {
      const u = (randomWords(seed, 0, 0, indices[row])[0] >>> 8) / 2 ** 24;
      let below = 0;
      const drawn = rowOf(shares, row, classes).findIndex((share) => share > 0 && u < (below += share));
      assert.equal(
        rowOf(outputs.output, row, classes),
        Array.from({ length: classes }, (_, c) => (c === drawn ? 1 : 0)),
        `row ${row}`,
      );
    }
  });
});

gpuSuite('rows of length 1', (test) => {
  for (const [rows, width] of [
    [1, 1],
    [3, 7],
    [65, 128],
  ]) {
    test(`[${rows}, ${width}]`, async (gpu) => {
      const data = randomArray([rows, width], 1, 3);
      const { outputs } = await runOp(gpu, { x: { shape: [rows, width], data } }, (tape, { x }) => normaliseRows(tape, x));
      const wanted = Array.from({ length: rows }, (_, row) => rowOf(data, row, width)).flatMap((row) =>
        row.map((x) => x / Math.hypot(...row)),
      );
      assertClose(outputs.output, wanted);
    });
  }

  test('a row of zeros stays so, and its gradient is zero', async (gpu) => {
    const x = { shape: [2, 3], data: Float32Array.of(0, 0, 0, 3, 0, 4), differentiable: true };
    const { outputs, gradients } = await runOp(gpu, { x }, (tape, inputs) => normaliseRows(tape, inputs.x), {
      outputGradient: Float32Array.of(1, 2, 3, 1, 0, 0),
    });
    assertClose(outputs.output, [0, 0, 0, 0.6, 0, 0.8]);
    assertClose(gradients.x, [0, 0, 0, 0.128, 0, -0.096]);
  });

  test('gradient agrees with finite differences', async (gpu) => {
    const x = { shape: [5, 4], data: randomArray([5, 4], 1), differentiable: true };
    await checkGradients(gpu, { x }, (tape, inputs) => normaliseRows(tape, inputs.x), { epsilon: 1e-3 });
  });
});

gpuSuite('memory bank', (test) => {
  test('a queue keeps the last embeddings, also around its end', async (gpu) => {
    const [batch, width, count] = [5, 3, 12];
    const tape = new Tape(gpu);
    const queue = tape.input('queue', [count, width]);
    const values = tape.input('values', [batch, width]);
    enqueue(tape, queue, values);
    const program = await Program.compile(gpu, tape);
    const wanted = new Float32Array(count * width);
    const state = new Uint32Array(tape.step.size);
    for (let step = 0; step < 4; step++) {
      const data = randomArray([batch, width], step);
      state[1] = step;
      program.write(tape.step, state);
      program.write(values, data);
      program.run();
      for (let i = 0; i < batch; i++) wanted.set(rowOf(data, i, width), ((step * batch + i) % count) * width);
    }
    assert.equal(await program.read(queue), wanted);
    program.destroy();
    await rejects(() => enqueue(tape, tape.input('short', [4, width]), values), ShapeError, 'no shorter than the batch');
  });

  test('prototypes follow the faces of their class one by one', async (gpu) => {
    const [batch, classes, width, momentum] = [11, 3, 70, 0.9];
    const tape = new Tape(gpu);
    const prototypes = tape.input('prototypes', [classes, width]);
    const embeddings = randomArray([batch, width], 1);
    const before = randomArray([classes, width], 2);
    const labels = Float32Array.from({ length: batch * classes }, (_, i) =>
      i % classes === (Math.floor(i / classes) ** 2 + 1) % classes ? 1 : 0,
    );
    updatePrototypes(
      tape,
      prototypes,
      tape.constant('q', [batch, width], embeddings),
      tape.constant('y', [batch, classes], labels),
      momentum,
    );
    const program = await Program.compile(gpu, tape);
    program.write(prototypes, before);
    program.run();
    const wanted = Array.from({ length: classes }, (_, own) => {
      let row = rowOf(before, own, width);
      for (let i = 0; i < batch; i++) {
        if (labels[i * classes + own]) row = row.map((value, d) => momentum * value + (1 - momentum) * embeddings[i * width + d]);
      }
      return row.map((value) => value / Math.hypot(...row));
    });
    assertClose(await program.read(prototypes), wanted.flat());
    program.destroy();
  });
});

gpuSuite('trusted votes', (test) => {
  for (const [batch, classes, doubt] of [
    [1, 2, 0.2],
    [67, 5, 0.2],
    [130, 8, 0.2],
    [130, 8, 0],
  ]) {
    test(`of ${batch} faces and ${classes} classes, doubted by ${doubt}`, async (gpu) => {
      const evidence = 3;
      const scores = randomArray([batch, classes], 1, 3);
      const votes = Float32Array.from(
        Array.from({ length: batch }, (_, i) => softmaxRow(rowOf(randomArray([batch, classes], 2, 6), i, classes))).flat(),
      );
      votes.fill(0, 0, classes).fill(1, 0, 1); // all for one class
      const resolve = Float32Array.from({ length: batch }, (_, i) => [0, 1, 0.5][i % 3]);
      const tape = new Tape(gpu);
      const inputs = {
        scores: tape.constant('scores', [batch, classes], scores),
        votes: tape.constant('votes', [batch, classes], votes),
        resolve: tape.constant('resolve', [batch, 1], resolve),
      };
      const targets = trustedVotes(tape, inputs, { doubt, evidence });
      const program = await Program.compile(gpu, tape, { keep: [targets] });
      program.run();

      const wanted = Array.from({ length: batch }, (_, i) => {
        const [q, v] = [softmaxRow(rowOf(scores, i, classes)), rowOf(votes, i, classes)];
        const likelihood = Math.exp(evidence * v.reduce((sum, share, c) => sum + share * Math.log(q[c]), 0));
        const trust = ((1 - doubt) * likelihood) / ((1 - doubt) * likelihood + doubt * classes ** -evidence);
        const resolved = v.map((share, c) => share * q[c] ** resolve[i]);
        const kept = resolved.reduce((sum, value) => sum + value, 0);
        return resolved.map((value, c) => (trust * value) / kept + (1 - trust) * q[c]);
      });
      assertClose(await program.read(targets), wanted.flat());
      program.destroy();
    });
  }

  test('stay finite where the model holds all that was voted for to be impossible', async (gpu) => {
    const tape = new Tape(gpu);
    const inputs = {
      scores: tape.constant('scores', [1, 3], Float32Array.of(0, 20, 300)),
      votes: tape.constant('votes', [1, 3], Float32Array.of(0.5, 0.5, 0)),
      resolve: tape.constant('resolve', [1, 1], Float32Array.of(1)),
    };
    const targets = trustedVotes(tape, inputs, { doubt: 0, evidence: 1 });
    const program = await Program.compile(gpu, tape, { keep: [targets] });
    program.run();
    assertClose(await program.read(targets), [Math.exp(-20), 1, 0], { absolute: 1e-6 });
    program.destroy();
  });

  test('refuses what does not fit', async (gpu) => {
    const tape = new Tape(gpu);
    const tensor = (...shape: number[]) => tape.input('x', shape);
    const inputs = { scores: tensor(4, 3), votes: tensor(4, 2), resolve: tensor(4, 1) };
    await rejects(() => trustedVotes(tape, inputs, { doubt: 0.1, evidence: 1 }), ShapeError, 'scores');
  });
});

gpuSuite('normal noise', (test) => {
  const drawn = (gpu: Gpu, size: number, options: { seed?: number; step?: number } = {}) =>
    runOp(gpu, {}, (tape) => ({ first: normalNoise(tape, [size]), second: normalNoise(tape, [size]) }), options);

  for (const size of [1, 67, 2051]) {
    test(`of ${size} elements is what the host draws`, async (gpu) => {
      const { outputs } = await drawn(gpu, size, { seed: 3, step: 5 });
      [outputs.first, outputs.second].forEach((values, stream) => {
        const wanted = Array.from(values, (_, i) => {
          const [x, y] = randomWords(3, 5, stream, i).map((word) => (word >>> 8) / 2 ** 24);
          return Math.sqrt(-2 * Math.log(1 - x)) * Math.cos(Math.PI * (2 * y - 1));
        });
        assertClose(values, wanted, { absolute: 2e-5 });
      });
    });
  }

  test('has mean 0 and variance 1, over two dimensions of dispatch too', async (gpu) => {
    const size = 100_000;
    const { outputs } = await drawn(gpu, size);
    const values = Array.from(outputs.first);
    const mean = values.reduce((a, b) => a + b, 0) / size;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / size;
    assert.ok(Math.abs(mean) < 4 / Math.sqrt(size) && Math.abs(variance - 1) < 4 * Math.sqrt(2 / size), `${mean} ${variance}`);
    assert.equal((await drawn(disguise(gpu, { groups: 3 }), size)).outputs.first, outputs.first);
  });
});

gpuSuite('written rows', (test) => {
  for (const [batch, width, count] of [
    [1, 1, 1],
    [7, 3, 11],
    [131, 17, 200],
  ]) {
    test(`${batch} of [${count}, ${width}]`, async (gpu) => {
      const [before, data] = [randomArray([count, width], 1), randomArray([batch, width], 2)];
      const places = Uint32Array.from({ length: batch }, (_, i) => (i * 7 + 3) % count);
      const tape = new Tape(gpu);
      const table = tape.input('table', [count, width]);
      writeRows(tape, table, tape.constant('rows', [batch], places), tape.constant('values', [batch, width], data));
      const program = await Program.compile(gpu, tape);
      program.write(table, before);
      program.run();
      const wanted = Float32Array.from(before);
      places.forEach((place, i) => wanted.set(rowOf(data, i, width), place * width));
      assert.equal(await program.read(table), wanted);
      program.destroy();
    });
  }

  test('refuses what does not fit', async (gpu) => {
    const tape = new Tape(gpu);
    const [table, rows] = [tape.input('table', [5, 2]), tape.input('rows', [3], 'u32')];
    await rejects(() => writeRows(tape, table, rows, tape.input('values', [3, 1])), ShapeError, '[3,1]', '[5,2]');
    await rejects(() => writeRows(tape, table, rows, tape.input('values', [2, 2])), ShapeError, '[3]');
  });
});
