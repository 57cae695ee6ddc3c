/** Files for Perfetto (ui.perfetto.dev) and chrome://tracing: the JSON object form of the Trace Event Format. */
import { writeFileSync } from 'node:fs';
import { storageError } from '#src/run/atomic-file.js';

/** Something that took time on one of the lines of the picture. */
export interface Span {
  track: string;
  name: string;
  startMs: number;
  timeMs: number;
  /** Shown when the span is clicked. */
  details?: Record<string, unknown>;
}

/** Complete events ("X") in microseconds on one process, a thread per track in the order in which tracks first occur. */
export function formatTrace(title: string, spans: readonly Span[]): string {
  const tracks = [...new Set(spans.map((span) => span.track))];
  const metadata = (name: string, tid: number, text: string) => ({ ph: 'M', pid: 1, tid, name, args: { name: text } });
  const traceEvents = [
    metadata('process_name', 0, title),
    ...tracks.map((track, tid) => metadata('thread_name', tid, track)),
    ...spans.map(({ track, name, startMs, timeMs, details = {} }) => {
      return { ph: 'X', pid: 1, tid: tracks.indexOf(track), name, cat: track, ts: startMs * 1000, dur: timeMs * 1000, args: details };
    }),
  ];
  return JSON.stringify({ displayTimeUnit: 'ms', traceEvents });
}

/** @throws RunError where the file cannot be written. */
export function writeTrace(path: string, title: string, spans: readonly Span[]): void {
  try {
    writeFileSync(path, formatTrace(title, spans));
  } catch (cause) {
    throw storageError(cause, path);
  }
}
