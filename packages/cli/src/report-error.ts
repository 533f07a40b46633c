import { type ErrorKind, kindOf, messageOf } from '@longshore/errors';
import type { Host } from './host.ts';
import { printable } from './output/printable.ts';

/** What helps with errors of a kind, whatever the command. */
const HINTS: Partial<Record<ErrorKind, string>> = {
  Unauthenticated:
    'The gateway does not know you: a context needs a certificate or a token; see "longshore context --help".',
  PermissionDenied:
    'Your roles do not allow it. An admin can bind one; on the node itself, root may do everything.',
  Unimplemented:
    'What answers there does not serve this. Nodes, tokens and fleet pulls are a gateway\'s; see "longshore context ls".',
  DeadlineExceeded: 'The server did not answer in time; it may still do what was asked.',
};

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

function isNobodyThere(message: string): boolean {
  return /No connection established|^server at/.test(message) && /ENOENT|ECONNREFUSED/.test(message);
}

function hintFor(error: unknown): string | undefined {
  const { hint } = Object(error) as { hint?: unknown };
  if (typeof hint === 'string') return hint;
  const message = messageOf(error);
  if (message.includes('header longshore-node is required')) {
    return 'Say which node is meant: --node ID; "longshore nodes" lists them.';
  }
  if (message.includes('EACCES'))
    return 'The node socket is for root only: use sudo, or a context of a gateway.';
  if (isNobodyThere(message)) {
    return 'Nothing listens there: start the agent ("npm start" in a checkout), or say where one is: --address, --context.';
  }
  return HINTS[kindOf(error)];
}

function traceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${traceOf(error.cause)}`;
  return `${error.stack}${cause}`;
}
