import { printable } from './printable.ts';
import { padded, shortened, widthOf } from './width.ts';

export interface Column<T> {
  header: string;
  value(item: T): string;
  /** Only with `--output wide`. */
  isWide?: boolean;
  /** Gives way, the longest first, when a terminal is too narrow for the table. */
  shrinks?: boolean;
}

const GAP = 3;
/** A column that gives way keeps this much. */
const NARROWEST = 12;

/** Lines without ends; the first holds the headers. `width` is a terminal's; without one nothing is cut. */
export function tableLines<T>(items: readonly T[], columns: readonly Column<T>[], width?: number): string[] {
  const rows = items.map((item) => columns.map(({ value }) => printable(value(item))));
  const headers = columns.map(({ header }) => header);
  const widths = headers.map((header, i) =>
    Math.max(widthOf(header), ...rows.map((row) => widthOf(row[i]!))),
  );
  if (width !== undefined) shrink(widths, columns, width);
  return [headers, ...rows].map((row) => lineOf(row, widths));
}

/** Widths of columns for rows that come one by one. */
export function lineOf(cells: readonly string[], widths: readonly number[]): string {
  const line = cells.map((cell, i) => padded(shortened(cell, widths[i]!), widths[i]! + GAP));
  return line.join('').trimEnd();
}

function shrink<T>(widths: number[], columns: readonly Column<T>[], width: number): void {
  for (;;) {
    const excess = widths.reduce((sum, each) => sum + each + GAP, -GAP) - width;
    if (excess <= 0) return;
    const [longest] = columns
      .map((column, i) => ({ i, room: column.shrinks ? widths[i]! - NARROWEST : 0 }))
      .filter(({ room }) => room > 0)
      .sort((a, b) => b.room - a.room);
    if (!longest) return;
    widths[longest.i]! -= Math.min(excess, Math.max(1, Math.ceil(longest.room / 2)));
  }
}
