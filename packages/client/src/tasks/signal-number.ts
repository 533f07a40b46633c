import { constants } from 'node:os';
import { invalidArgument } from '@longshore/errors';

/** `SIGTERM`, `TERM` or a number. */
export type Signal = NodeJS.Signals | (string & {}) | number;

/** Throws InvalidArgument for what is no signal. */
export function signalNumber(signal: Signal): number {
  if (typeof signal === 'number') return signal;
  const name = signal.toUpperCase();
  const numbers: Readonly<Record<string, number>> = constants.signals;
  const number = /^\d+$/.test(name) ? Number(name) : (numbers[name] ?? numbers[`SIG${name}`]);
  if (number === undefined) throw invalidArgument(`signal ${JSON.stringify(signal)} is unknown`);
  return number;
}
