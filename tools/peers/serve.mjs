// One case of one engine, timed on demand: `node serve.mjs ENGINE CASE`, the case as JSON, {"model":"m1","batch":64,"enoughMs":100} or in place of model
// and batch an operator of bench-operators.ts. Prints a line of JSON when warm, then one for each line of input {"steps":5,"limitMs":20000}, which asks for
// so many times, each the mean over as many steps in a row as fill enoughMs; {"error":…} where the engine cannot do it. pytorch.py answers alike.
import { createInterface } from 'node:readline';

const [engine, wanted] = process.argv.slice(2);
const say = (message) => new Promise((resolve) => process.stdout.write(`${JSON.stringify(message)}\n`, () => resolve()));

/** Results of steps that are queued are kept until their end. */
const MOST_REPEATS = 100;

/** Queues so many steps and waits for them. @returns the time of one, and the losses */
async function sample({ queue, finish }, repeats) {
  const start = performance.now();
  const queued = Array.from({ length: repeats }, queue);
  await finish();
  const losses = (await Promise.all(queued)).filter((loss) => loss !== undefined);
  return { stepMs: (performance.now() - start) / repeats, losses };
}

/** Takes samples, fewer where the limit is reached; at least one. */
async function measure(run, repeats, { steps, limitMs }) {
  const stepMs = [];
  const losses = [];
  const begun = performance.now();
  while (stepMs.length < steps && (stepMs.length === 0 || performance.now() - begun < limitMs)) {
    const one = await sample(run, repeats);
    stepMs.push(one.stepMs);
    losses.push(...one.losses);
  }
  return { stepMs, losses };
}

try {
  const { prepare } = await import(`./${engine}.mjs`);
  const { enoughMs, ...rest } = JSON.parse(wanted);
  const run = await prepare(rest);
  const cold = await sample(run, 1);
  const warm = await sample(run, 1);
  const repeats = Math.min(MOST_REPEATS, Math.max(1, Math.ceil(enoughMs / warm.stepMs)));
  await say({ losses: [...cold.losses, ...warm.losses] });
  for await (const line of createInterface({ input: process.stdin })) await say(await measure(run, repeats, JSON.parse(line)));
} catch (error) {
  await say({ error: String(error?.message ?? error).split('\n')[0] });
}
process.exit(0); // Dawn would keep the process alive
