import { formatTrace } from '#tools/trace.js';
import { assert, suite } from '../support/suite.js';

suite('trace', (test) => {
  test('spans become complete events in microseconds on the thread of their track', () => {
    const trace = JSON.parse(
      formatTrace('a step', [
        { track: 'GPU', name: 'matmul', startMs: 0, timeMs: 1.5, details: { flops: 8 } },
        { track: 'host', name: 'submit', startMs: 0.25, timeMs: 0.125 },
        { track: 'GPU', name: 'relu', startMs: 1.5, timeMs: 0.5 },
      ]),
    );
    assert.equal(trace, {
      displayTimeUnit: 'ms',
      traceEvents: [
        { ph: 'M', pid: 1, tid: 0, name: 'process_name', args: { name: 'a step' } },
        { ph: 'M', pid: 1, tid: 0, name: 'thread_name', args: { name: 'GPU' } },
        { ph: 'M', pid: 1, tid: 1, name: 'thread_name', args: { name: 'host' } },
        { ph: 'X', pid: 1, tid: 0, name: 'matmul', cat: 'GPU', ts: 0, dur: 1500, args: { flops: 8 } },
        { ph: 'X', pid: 1, tid: 1, name: 'submit', cat: 'host', ts: 250, dur: 125, args: {} },
        { ph: 'X', pid: 1, tid: 0, name: 'relu', cat: 'GPU', ts: 1500, dur: 500, args: {} },
      ],
    });
  });
});
