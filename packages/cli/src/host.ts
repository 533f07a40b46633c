import type { ReadStream, WriteStream } from 'node:tty';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where text goes. Beyond `write`, what a terminal has. */
export type Sink = Pick<WriteStream, 'write'> & Partial<Pick<WriteStream, 'isTTY' | 'columns' | 'rows'>>;

/** What a command has of the process that runs it. */
export interface Host {
  readonly env: Environment;
  readonly stdin: ReadStream;
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly signals: Signals;
}

export interface Signals {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
}
