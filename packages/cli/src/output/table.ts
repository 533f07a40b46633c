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
  return new Table(columns, width).lines(items);
}

/** A table whose rows come now and then: what came before settles how wide its columns are. */
export class Table<T> {
  readonly #columns: readonly Column<T>[];
  readonly #width: number | undefined;
  #widths: number[] | undefined;

  constructor(columns: readonly Column<T>[], width?: number) {
    this.#columns = columns;
    this.#width = width;
  }

  /** With the headers the first time. */
  lines(items: readonly T[]): string[] {
    const rows = items.map((item) => this.#columns.map(({ value }) => printable(value(item))));
    const isFirst = this.#widths === undefined;
    const lines = isFirst ? [this.#columns.map(({ header }) => header), ...rows] : rows;
    const before = this.#widths ?? this.#columns.map(() => 0);
    this.#widths = before.map((width, i) => Math.max(width, ...lines.map((line) => widthOf(line[i]!))));
    if (this.#width !== undefined) shrink(this.#widths, this.#columns, this.#width);
    return lines.map((line) => lineOf(line, this.#widths!));
  }
}

function lineOf(cells: readonly string[], widths: readonly number[]): string {
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
