import type { Readable } from 'node:stream';
import type { Host } from '../host.ts';
import { UsageError } from '../usage-error.ts';
import { DEFAULT_DETACH_KEYS, DetachFilter, parseDetachKeys } from './detach-keys.ts';
import { RawTerminal } from './raw-terminal.ts';

export interface InputOptions {
  /** The process takes input. */
  interactive: boolean;
  /** It has a terminal. */
  terminal: boolean;
  detachKeys?: string | undefined;
}

/** What a process gets to read. */
export interface Input extends Disposable {
  stream: Readable | undefined;
  /** Resolves when the keys that let go are typed; undefined where nobody types. */
  detached: Promise<void> | undefined;
}

/** Throws UsageError for a process with a terminal whose input comes from none: what types could not be seen. */
export function openInput(host: Host, { interactive, terminal, detachKeys }: InputOptions): Input {
  const keys = parseDetachKeys(detachKeys ?? DEFAULT_DETACH_KEYS);
  if (!interactive) return { stream: undefined, detached: undefined, [Symbol.dispose]: () => undefined };
  const { stdin } = host;
  if (!terminal) return { stream: stdin, detached: undefined, [Symbol.dispose]: () => void stdin.pause() };
  if (!stdin.isTTY)
    throw new UsageError('-t with -i: standard input is no terminal', 'Leave out -t to pipe into it.');
  const raw = new RawTerminal(host);
  const filter = new DetachFilter(keys);
  stdin.pipe(filter);
  return {
    stream: filter,
    detached: filter.detached,
    [Symbol.dispose]() {
      stdin.unpipe(filter);
      raw[Symbol.dispose]();
    },
  };
}
