import type { Sink } from '../host.ts';
import { shortened } from './width.ts';

const HOME_AND_CLEAR = '\x1b[H\x1b[J';
const USUAL_ROWS = 24;

/** Whether what goes on is shown in place, and not line by line. */
export function isScreen(sink: Sink, env: Readonly<Record<string, string | undefined>>): boolean {
  return sink.isTTY === true && env.TERM !== 'dumb';
}

/** A whole terminal that shows some lines, each time anew; of those that have no room it says how many they are. */
export function drawScreen(sink: Sink, lines: readonly string[]): void {
  // The last row stays free: a line's end there would scroll.
  const room = Math.max(1, (sink.rows ?? USUAL_ROWS) - 1);
  const isWhole = lines.length <= room;
  const shown = isWhole ? lines : [...lines.slice(0, room - 1), `… and ${lines.length - room + 1} more`];
  // One that were wrapped would take several rows.
  const cut = shown.map((line) => shortened(line, sink.columns ?? Number.POSITIVE_INFINITY));
  sink.write(`${HOME_AND_CLEAR}${cut.join('\n')}\n`);
}
