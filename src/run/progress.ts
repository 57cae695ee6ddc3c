/** What a progress line tells; everything but the first three is shown when known. */
export interface Progress {
  what: string; // as in "epoch 3/20"
  done: number;
  total: number;
  loss?: number;
  learningRate?: number;
  facesPerSecond?: number;
  remainingSeconds?: number;
}

const BAR_COLUMNS = 24;
const REDRAW_MS = 100;
/** Between the parts of a line. */
const SEPARATOR = ' | ';

/**
 * One line of at most `width` columns. When not everything fits, the bar shrinks first; then the learning rate, the speed, the time that
 * remains and the loss are left out, in this order. Without a limit there is no bar.
 */
export function formatProgress(
  { what, done, total, loss, learningRate, facesPerSecond, remainingSeconds }: Progress,
  width = Infinity,
): string {
  const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : 0;
  const fields: { text: string | undefined; priority: number }[] = [
    { text: what, priority: 0 },
    { text: `${Math.floor(share * 100)}%`.padStart(4), priority: 1 },
    { text: loss === undefined ? undefined : `loss ${loss.toFixed(4)}`, priority: 2 },
    { text: learningRate === undefined ? undefined : `rate ${learningRate.toExponential(1)}`, priority: 5 },
    { text: facesPerSecond === undefined ? undefined : `${formatCount(facesPerSecond)} faces/s`, priority: 4 },
    { text: remainingSeconds === undefined ? undefined : `ETA ${formatDuration(remainingSeconds)}`, priority: 3 },
  ];
  const GAP = 2;
  const isShown = (limit: number) =>
    fields.filter(({ text, priority }) => text !== undefined && priority <= limit).map(({ text }) => text as string);
  let shown: string[] = [];
  let columns = 0;
  for (let limit = 5; limit >= 0; limit--) {
    shown = isShown(limit);
    columns = shown.reduce((sum, text) => sum + text.length, GAP * (shown.length - 1));
    if (columns <= width) break;
  }
  const barColumns = Number.isFinite(width) ? Math.min(BAR_COLUMNS, width - columns - GAP) : 0;
  if (barColumns >= 4) shown.splice(1, 0, formatBar(share, barColumns));
  return shown.join(' '.repeat(GAP)).slice(0, width);
}

/** Seconds as 0:07, 12:34 or 1:02:03. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, '0');
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

function formatBar(share: number, columns: number): string {
  const full = Math.floor(share * columns);
  return '█'.repeat(full) + '░'.repeat(columns - full);
}

function formatCount(value: number): string {
  return value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en-US');
}

/** Where progress is shown: a terminal, or a file or pipe. */
export interface ProgressStream {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

/**
 * The progress line of a command. On a terminal it is rewritten in place; elsewhere a plain line appears every `plainIntervalMs`, and the
 * last state always does. Messages that are to stay go through print(), above the line.
 */
export class ProgressLine {
  private shownAtMs = Number.NEGATIVE_INFINITY;
  /** What is under way, by the name of its part. */
  private readonly latest = new Map<string, Progress>();
  private isCurrent = true; // the latest state is on the screen

  constructor(
    private readonly stream: ProgressStream = process.stderr,
    private readonly plainIntervalMs = 10_000,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  update(progress: Progress, part = ''): void {
    this.latest.set(part, progress);
    this.isCurrent = false;
    if (this.nowMs() - this.shownAtMs >= (this.stream.isTTY ? REDRAW_MS : this.plainIntervalMs)) this.show();
  }

  /** Writes lines that stay. */
  print(text: string): void {
    this.stream.write(this.stream.isTTY ? `\r\x1b[K${text}\n` : `${text}\n`);
    if (this.stream.isTTY) this.show();
  }

  /** Shows the last state once more and leaves it standing; the next update begins a new line. */
  end(): void {
    if (!this.isCurrent) this.show();
    if (this.latest.size > 0 && this.stream.isTTY) this.stream.write('\n');
    this.latest.clear();
    this.shownAtMs = Number.NEGATIVE_INFINITY;
  }

  /** A line of one of several things that are done at a time: it shares this one, its states and messages begin with its name. */
  part(name: string): ProgressLine {
    return new PartOfLine(this, name);
  }

  /** Ends a part alone. */
  leave(part: string): void {
    this.latest.delete(part);
  }

  private show(): void {
    if (this.latest.size === 0) return;
    // A terminal moves on to the next line when the last column is written.
    const columns = (this.stream.columns ?? 80) - 1 - SEPARATOR.length * (this.latest.size - 1);
    const width = this.stream.isTTY ? Math.floor(columns / this.latest.size) : undefined;
    const text = [...this.latest.values()].map((progress) => formatProgress(progress, width)).join(SEPARATOR);
    this.stream.write(this.stream.isTTY ? `\r\x1b[K${text}` : `${text}\n`);
    this.shownAtMs = this.nowMs();
    this.isCurrent = true;
  }
}

class PartOfLine extends ProgressLine {
  constructor(
    private readonly whole: ProgressLine,
    private readonly name: string,
  ) {
    super();
  }

  override update(progress: Progress): void {
    this.whole.update({ ...progress, what: `${this.name} ${progress.what}` }, this.name);
  }

  override print(text: string): void {
    this.whole.print(text.replace(/^/gm, `${this.name}: `));
  }

  override end(): void {
    this.whole.leave(this.name);
  }
}

/** Speed over the last seconds, from which follows the time that remains. */
export class Pace {
  private readonly marks: { timeMs: number; done: number }[] = [];

  constructor(
    private readonly windowMs = 30_000,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** Notes that `done` of `total` units are finished now. Both results are undefined until two marks are there. */
  mark(done: number, total: number): { perSecond?: number; remainingSeconds?: number } {
    const timeMs = this.nowMs();
    this.marks.push({ timeMs, done });
    while (this.marks.length > 2 && this.marks[1].timeMs < timeMs - this.windowMs) this.marks.shift();
    const [first] = this.marks;
    if (done <= first.done || timeMs <= first.timeMs) return {};
    const perSecond = ((done - first.done) / (timeMs - first.timeMs)) * 1000;
    return { perSecond, remainingSeconds: (total - done) / perSecond };
  }
}

/** Shows the progress of reading on a line, with the time that remains. */
export function showReading(line: ProgressLine): (done: number, total: number, what: string) => void {
  let pace = new Pace();
  let current: string | undefined;
  return (done, total, what) => {
    if (what !== current) pace = new Pace();
    current = what;
    line.update({ what, done, total, remainingSeconds: pace.mark(done, total).remainingSeconds });
  };
}
