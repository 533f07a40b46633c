import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Logger } from '@longshore/kit';

/** A line without an end is logged in parts: a shim must not make the agent hold what it writes. */
const MAX_LINE_CHARACTERS = 16_384;

/**
 * Copies a shim's log, the fifo `log` of its bundle, to ours. It must be open before the shim starts, which waits for
 * a reader; opened for both directions, it never ends when a shim closes it.
 */
export class ShimLog {
  readonly #socket: Socket;
  #rest = '';

  /** Opens the fifo; throws the system's error. */
  constructor(path: string, log: Logger) {
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    this.#socket = new Socket({ fd, readable: true, writable: false });
    this.#socket.setEncoding('utf8');
    this.#socket.on('data', (text: string) => this.#copy(text, log));
    this.#socket.on('error', (err) => log.warn({ err }, 'shim log cannot be read'));
    this.#socket.unref();
  }

  close(): void {
    this.#socket.destroy();
  }

  #copy(text: string, log: Logger): void {
    const lines = (this.#rest + text).split('\n');
    const rest = lines.pop() ?? '';
    this.#rest = rest.length > MAX_LINE_CHARACTERS ? '' : rest;
    if (rest.length > MAX_LINE_CHARACTERS) lines.push(rest);
    for (const line of lines) if (line !== '') log[levelOf(line)]({ shim: line }, 'shim log');
  }
}

/** Shims write logrus lines; what they call an error often is none of the agent's. */
function levelOf(line: string): 'debug' | 'info' | 'warn' {
  const level = /\blevel=(\w+)/.exec(line)?.[1];
  if (level === 'error' || level === 'fatal' || level === 'panic' || level === 'warning') return 'warn';
  return level === 'debug' || level === 'trace' || level === 'info' ? 'debug' : 'info';
}
