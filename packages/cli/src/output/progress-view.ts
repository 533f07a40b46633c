import { durationText, sizeText } from './quantity.ts';
import { padded, shortened } from './width.ts';

/** One thing that goes on, e.g. a blob. */
export interface ProgressLine {
  name: string;
  state: string;
  doneBytes: number;
  totalBytes: number;
}

/** All of it, at one moment. */
export interface ProgressPicture {
  title: string;
  lines: readonly ProgressLine[];
  doneBytes: number;
  totalBytes: number;
  bytesPerSecond: number;
  remainingMs: number | undefined;
}

const NAME_WIDTH = 20;
const STATE_WIDTH = 13;
const BAR_WIDTH = 30;

/** As a terminal of this size shows it; what has no room is left out, what goes on comes first. */
export function progressLines(picture: ProgressPicture, columns: number, rows: number): string[] {
  const room = Math.max(1, rows - 2);
  const moving = picture.lines.filter(isMoving);
  const shown = picture.lines.length <= room ? picture.lines : moving.slice(0, room - 1);
  const hidden = picture.lines.length - shown.length;
  return [
    ...shown.map(lineOf),
    ...(hidden > 0 ? [`… and ${hidden} more`] : []),
    `${picture.title}  ${totals(picture)}`,
  ].map((line) => shortened(line, columns - 1));
}

/** `12.3MB/45.6MB  5.1MB/s  ETA 7 seconds`, as far as it is known. */
export function totals({
  doneBytes,
  totalBytes,
  bytesPerSecond,
  remainingMs,
}: Omit<ProgressPicture, 'title' | 'lines'>): string {
  const parts = totalBytes > 0 ? [`${sizeText(doneBytes)}/${sizeText(totalBytes)}`] : [];
  if (bytesPerSecond > 0 && doneBytes < totalBytes) parts.push(`${sizeText(bytesPerSecond)}/s`);
  if (remainingMs !== undefined && doneBytes < totalBytes) parts.push(`ETA ${durationText(remainingMs)}`);
  return parts.join('  ');
}

function isMoving({ doneBytes, totalBytes, state }: ProgressLine): boolean {
  return doneBytes < totalBytes || state === 'unpacking';
}

function lineOf({ name, state, doneBytes, totalBytes }: ProgressLine): string {
  const share = totalBytes > 0 ? Math.min(1, doneBytes / totalBytes) : 0;
  const filled = Math.round(share * BAR_WIDTH);
  const bar = `${'='.repeat(Math.max(0, filled - 1))}${filled > 0 ? '>' : ''}`.padEnd(BAR_WIDTH);
  const sizes = totalBytes > 0 ? `${sizeText(doneBytes)}/${sizeText(totalBytes)}` : '';
  return `${padded(shortened(name, NAME_WIDTH), NAME_WIDTH)}  ${state.padEnd(STATE_WIDTH)}  [${bar}]  ${sizes}`.trimEnd();
}
