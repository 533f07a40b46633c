import { invalidArgument } from '@longshore/errors';
import { parseSignal } from '@longshore/oci';

/** A signal as a request names it; undefined when it names none. Throws InvalidArgument for what is no signal. */
export function signalOf(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const signal = parseSignal(value);
  if (signal === undefined) throw invalidArgument(`signal ${JSON.stringify(value)}`);
  return signal;
}
