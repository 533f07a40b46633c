import { invalidArgument } from '@longshore/errors';
import { parseSignal } from '@longshore/oci';

/** `SIGTERM`, `TERM` or a number. */
export type Signal = NodeJS.Signals | (string & {}) | number;

/** Throws InvalidArgument for what is no signal. */
export function signalNumber(signal: Signal): number {
  const number = typeof signal === 'number' ? signal : parseSignal(signal);
  if (number === undefined) throw invalidArgument(`signal ${JSON.stringify(signal)} is unknown`);
  return number;
}
