import { messageOf } from '@longshore/errors';
import { hintFor, isNobodyThere } from './hint.ts';
import type { Host } from './host.ts';
import { printable } from './output/printable.ts';

/** Says on standard error what went wrong and, if that can be known, what to do about it. */
export function reportError(error: unknown, { stderr }: Pick<Host, 'stderr'>, debug: boolean): void {
  // Names that others chose are part of messages.
  const lines = textOf(error).split('\n').map(printable);
  stderr.write(`longshore: ${lines.join('\n')}\n`);
  const hint = hintFor(error);
  if (hint !== undefined) stderr.write(`Hint: ${hint}\n`);
  if (debug) stderr.write(`${traceOf(error)}\n`);
}

/** Of a socket that cannot be connected to, gRPC and HTTP/2 tell in many words. */
function textOf(error: unknown): string {
  const message = messageOf(error);
  const refusal = isNobodyThere(message) && /connect (E[A-Z]+) (\/\S+?|\S+:\d+)(?=[).\s]|$)/.exec(message);
  return refusal ? `server at ${refusal[2]} cannot be reached (${refusal[1]})` : message;
}

function traceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${traceOf(error.cause)}`;
  return `${error.stack}${cause}`;
}
