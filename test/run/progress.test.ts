import { formatDuration, formatProgress, Pace, type Progress, ProgressLine } from '#src/run/progress.js';
import { assert, suite } from '../support/suite.js';

const full: Progress = {
  what: 'epoch 3/20',
  done: 41,
  total: 100,
  loss: 1.23456,
  learningRate: 0.048,
  facesPerSecond: 1234.4,
  remainingSeconds: 754,
};
const fields = 'epoch 3/20   41%  loss 1.2346  rate 4.8e-2  1,234 faces/s  ETA 12:34';

class Screen {
  text = '';
  constructor(
    readonly isTTY: boolean,
    readonly columns?: number,
  ) {}
  write(text: string): void {
    this.text += text;
  }
  /** What a person sees: a line is rewritten from its start after a carriage return. */
  get lines(): string[] {
    return this.text.split('\n').map((line) => line.split('\r').at(-1)!.replace('\x1b[K', ''));
  }
}

suite('progress', (test) => {
  test('without a limit all fields stand in one line', () => {
    assert.is(formatProgress(full), fields);
  });

  test('the bar takes the room that is left', () => {
    assert.is(formatProgress(full, 200), `epoch 3/20  █████████░░░░░░░░░░░░░░░   41%  loss 1.2346  rate 4.8e-2  1,234 faces/s  ETA 12:34`);
    assert.is(formatProgress(full, fields.length + 12), `epoch 3/20  ████░░░░░░   41%  loss 1.2346  rate 4.8e-2  1,234 faces/s  ETA 12:34`);
    assert.is(formatProgress(full, fields.length + 5), fields); // a bar of three columns says nothing
  });

  test('what matters least is left out first, and no line is wider than asked', () => {
    assert.is(
      formatProgress(full, 59),
      `${'epoch 3/20  █   41%'.replace('█  ', ' ').replace('    ', '   ')}  loss 1.2346  1,234 faces/s  ETA 12:34`,
    );
    assert.is(formatProgress(full, 40), 'epoch 3/20   41%  loss 1.2346  ETA 12:34');
    assert.is(formatProgress(full, 30), 'epoch 3/20   41%  loss 1.2346');
    for (let width = 0; width < 120; width++) assert.ok(formatProgress(full, width).length <= width, `${width}`);
  });

  test('unknown values are left out; shares stay between 0 and 100 %', () => {
    assert.is(formatProgress({ what: 'reading', done: 0, total: 0 }), 'reading    0%');
    assert.is(formatProgress({ what: 'reading', done: 7, total: 5 }, 30), `reading  ${'█'.repeat(15)}  100%`);
    assert.is(formatProgress({ what: 'reading', done: 199, total: 200 }), 'reading   99%');
    assert.is(formatProgress({ what: 'x', done: 1, total: 2, loss: NaN }), 'x   50%  loss NaN');
  });

  test('durations', () => {
    assert.equal([0, 7.4, 59.6, 754, 3723, 360000, -3].map(formatDuration), [
      '0:00',
      '0:07',
      '1:00',
      '12:34',
      '1:02:03',
      '100:00:00',
      '0:00',
    ]);
    assert.is(formatDuration(Infinity), '–');
  });

  test('a terminal shows one line, rewritten in place, and messages above it', () => {
    const screen = new Screen(true, 60);
    let time = 0;
    const line = new ProgressLine(screen, 10_000, () => time);
    for (let done = 1; done <= 50; done++) {
      time += 50;
      line.update({ what: 'epoch 1/2', done, total: 100 });
      if (done === 20) line.print('saved checkpoint');
    }
    line.end();
    assert.is(screen.lines.length, 3);
    assert.equal([screen.lines[0], screen.lines[2]], ['saved checkpoint', '']);
    assert.match(screen.lines[1], /^epoch 1\/2 .* 50%$/);
    const redraws = screen.text.split('\x1b[K').length - 1;
    assert.ok(redraws > 20 && redraws < 32, `${redraws} redraws in 2.5 s`);
  });

  test('a file gets a plain line every ten seconds, every message, and the last state', () => {
    const screen = new Screen(false);
    let time = 0;
    const line = new ProgressLine(screen, 10_000, () => time);
    for (let done = 1; done <= 25; done++) {
      line.update({ what: 'epoch 1/1', done, total: 25 });
      if (done === 5) line.print('note');
      time += 1000;
    }
    line.end();
    line.end();
    assert.equal(screen.lines, ['epoch 1/1    4%', 'note', 'epoch 1/1   44%', 'epoch 1/1   84%', 'epoch 1/1  100%', '']);
    for (const drawing of ['\r', '\x1b', '█', '░']) assert.not(screen.text.includes(drawing));
  });

  test('things done at a time share the line', () => {
    const screen = new Screen(true, 60);
    let time = 0;
    const line = new ProgressLine(screen, 10_000, () => (time += 200));
    const [first, second] = [line.part('a-s0'), line.part('b-s0')];
    first.update({ what: 'epoch 1/2', done: 1, total: 2 });
    second.update({ what: 'epoch 2/2', done: 1, total: 4 });
    assert.match(screen.lines.at(-1)!, /^a-s0 epoch 1\/2 .*50% \| b-s0 epoch 2\/2 .*25%$/);
    assert.ok(screen.lines.at(-1)!.length < 60);
    second.print('best\nsaved');
    first.end();
    second.update({ what: 'epoch 2/2', done: 2, total: 4 });
    second.end();
    line.end();
    assert.equal(screen.lines.slice(0, 2), ['b-s0: best', 'b-s0: saved']);
    assert.match(screen.lines[2], /^b-s0 epoch 2\/2 .* 50%$/);
  });

  test('pace is measured over a window', () => {
    let time = 0;
    const pace = new Pace(10_000, () => time);
    assert.equal(pace.mark(0, 100), {});
    time = 10_000;
    assert.equal(pace.mark(10, 100), { perSecond: 1, remainingSeconds: 90 });
    time = 20_000;
    pace.mark(30, 100); // the first mark leaves the window only when the second is old enough to stand for its start
    time = 30_000;
    assert.equal(pace.mark(50, 100), { perSecond: 2, remainingSeconds: 25 });
  });
});
