import { constants } from 'node:os';
import { parseSignal as parseKnown } from '@longshore/oci';
import { nearest } from './nearest.ts';
import { UsageError } from './usage-error.ts';

/** `9`, `KILL`, `sigkill`; also real-time ones as `RTMIN+3`. Throws UsageError for what is no signal. */
export function parseSignal(text: string): number {
  const number = parseKnown(text);
  if (number !== undefined) return number;
  const name = `SIG${text.toUpperCase().replace(/^SIG/, '')}`;
  const near = nearest(name, Object.keys(constants.signals));
  throw new UsageError(`signal "${text}": unknown`, near && `Did you mean ${near}?`);
}
