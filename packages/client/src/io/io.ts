import { isAbsolute } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { invalidArgument } from '@longshore/errors';

/** Where a process's standard streams go. Made by {@link nullIo}, {@link logFile}, {@link binaryIo}, {@link keptIo}, {@link streams}. */
export type Io =
  | { kind: 'null' }
  | { kind: 'uri'; uri: string; terminal: boolean }
  | { kind: 'kept'; stdin: boolean; terminal: boolean }
  | StreamsIo;

export interface StreamsIo {
  kind: 'streams';
  stdin: Readable | undefined;
  stdout: Writable | undefined;
  stderr: Writable | undefined;
  terminal: boolean;
}

export interface Streams {
  /** Read until it ends, which ends the process's input, or until the process is known to have exited. */
  stdin?: Readable | AsyncIterable<Uint8Array | string> | undefined;
  /** Ended with the process's output, but for this process's own; what one that fails would get is dropped. */
  stdout?: Writable | undefined;
  /** Of a terminal there is none. */
  stderr?: Writable | undefined;
  /** The process has a terminal, which its spec must say too; all output is `stdout`'s. */
  terminal?: boolean | undefined;
}

/** No input, and output that goes nowhere. */
export function nullIo(): Io {
  return { kind: 'null' };
}

/** Appends the output to a file of the server's machine. Throws InvalidArgument for a path that is not absolute. */
export function logFile(path: string, { terminal = false } = {}): Io {
  if (!isAbsolute(path)) throw invalidArgument(`log file ${JSON.stringify(path)}: the path must be absolute`);
  return { kind: 'uri', uri: `file://${encodeURI(path)}`, terminal };
}

/**
 * Starts a program of the server's machine which gets the output, as containerd's logging drivers do. `args` are pairs of it: each key comes
 * as an argument, with its value behind; of several pairs shims make any order. Throws InvalidArgument for a path that is not absolute.
 */
export function binaryIo(
  path: string,
  args: Readonly<Record<string, string>> = {},
  { terminal = false } = {},
): Io {
  if (!isAbsolute(path))
    throw invalidArgument(`log program ${JSON.stringify(path)}: the path must be absolute`);
  const uri = new URL(`binary://${encodeURI(path)}`);
  for (const [name, value] of Object.entries(args)) uri.searchParams.append(name, value);
  return { kind: 'uri', uri: uri.href, terminal };
}

/**
 * A longshore node keeps the output, for `container.logs` and for those who attach; with `stdin`, they may write to it. Of tasks only;
 * a containerd has no such thing.
 */
export function keptIo({ stdin = false, terminal = false } = {}): Io {
  return { kind: 'kept', stdin, terminal };
}

/** Streams of this process. What is not given goes nowhere. */
export function streams({ stdin, stdout, stderr, terminal = false }: Streams): Io {
  const input = stdin === undefined || stdin instanceof Readable ? stdin : Readable.from(stdin);
  return { kind: 'streams', stdin: input, stdout, stderr: terminal ? undefined : stderr, terminal };
}

export function hasTerminal(io: Io): boolean {
  return io.kind !== 'null' && io.terminal;
}
