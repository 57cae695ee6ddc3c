// One case of one engine, timed on demand: `node serve.mjs ENGINE CASE`, the case as JSON, {"model":"m1"} or an operator of bench-operators.ts.
// Prints a line of JSON when warm, then one for each line of input {"steps":5,"limitMs":20000}; {"error":…} where the engine cannot do it.
import { createInterface } from 'node:readline';

const [engine, wanted] = process.argv.slice(2);
const say = (message) => new Promise((resolve) => process.stdout.write(`${JSON.stringify(message)}\n`, () => resolve()));

/** Times steps, fewer where the limit is reached; at least one. */
async function time(run, { steps, limitMs }) {
  const stepMs = [];
  const losses = [];
  const begun = performance.now();
  while (stepMs.length < steps && (stepMs.length === 0 || performance.now() - begun < limitMs)) {
    const start = performance.now();
    const loss = await run();
    stepMs.push(performance.now() - start);
    if (loss !== undefined) losses.push(loss);
  }
  return { stepMs, losses };
}

try {
  const { prepare } = await import(`./${engine}.mjs`);
  const run = await prepare(JSON.parse(wanted));
  const { losses } = await time(run, { steps: 2, limitMs: Number.POSITIVE_INFINITY });
  await say({ losses });
  for await (const line of createInterface({ input: process.stdin })) await say(await time(run, JSON.parse(line)));
} catch (error) {
  await say({ error: String(error?.message ?? error).split('\n')[0] });
}
process.exit(0); // Dawn would keep the process alive
