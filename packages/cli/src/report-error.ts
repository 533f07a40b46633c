import { messageOf } from '@longshore/errors';
import { connectionFailure } from './connection-failure.ts';
import { hintFor } from './hint.ts';
import type { Host } from './host.ts';
import { printable } from './output/printable.ts';

/** Says on standard error what went wrong and, if that can be known, what to do about it. */
export function reportError(error: unknown, { stderr }: Pick<Host, 'stderr'>, debug: boolean): void {
  // Names that others chose are part of messages.
  const message = messageOf(error);
  const lines = (connectionFailure(message)?.text ?? message).split('\n').map(printable);
  stderr.write(`longshore: ${lines.join('\n')}\n`);
  const hint = hintFor(error);
  if (hint !== undefined) stderr.write(`Hint: ${hint}\n`);
  if (debug) stderr.write(`${traceOf(error)}\n`);
}

function traceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${traceOf(error.cause)}`;
  return `${error.stack}${cause}`;
}
