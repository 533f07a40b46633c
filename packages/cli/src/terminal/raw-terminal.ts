import type { ReadStream } from 'node:tty';
import type { Host } from '../host.ts';

export interface TerminalSize {
  columns: number;
  rows: number;
}

/** This side's terminal, which passes each key on as it is typed until it is closed, or the process ends in whatever way it can tell. */
export class RawTerminal implements Disposable {
  readonly #input: ReadStream;
  readonly #restore = () => void this.#input.setRawMode(false);

  constructor({ stdin }: Pick<Host, 'stdin'>) {
    this.#input = stdin;
    stdin.setRawMode(true);
    process.once('exit', this.#restore);
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#restore);
    this.#restore();
    this.#input.pause();
  }
}

/** Undefined where there is no terminal, or one that does not say. */
export function sizeOf({ stdout }: Pick<Host, 'stdout'>): TerminalSize | undefined {
  const { columns, rows } = stdout;
  return columns && rows ? { columns, rows } : undefined;
}
