import { type ErrorKind, kindOf, messageOf } from '@longshore/errors';
import { connectionFailure } from './connection-failure.ts';

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

/** Which role allows what a gateway refuses. */
const ROLE_FOR: Readonly<Record<string, string>> = { read: 'viewer', write: 'operator', admin: 'admin' };

/** What to do about an error, if that can be known. */
export function hintFor(error: unknown): string | undefined {
  const { hint } = Object(error) as { hint?: unknown };
  if (typeof hint === 'string') return hint;
  const message = messageOf(error);
  if (message.includes('header longshore-node is required')) {
    return 'Say which node is meant: --node ID; "longshore nodes" lists them.';
  }
  const failure = connectionFailure(message);
  if (failure) return failure.hint;
  return roleHint(message) ?? HINTS[kindOf(error)];
}

/** The binding that a gateway says is missing, as an admin would type it. */
function roleHint(message: string): string | undefined {
  const lacking = /^(\S+) lacks the role (\S+) in (?:namespace "([^"]+)"|the whole fleet)/.exec(message);
  const refused = /^(\S+) may not (\S+) in (?:namespace "([^"]+)"|the whole fleet)/.exec(message);
  const [, subject, what, namespace] = lacking ?? refused ?? [];
  const role = lacking ? what : ROLE_FOR[what ?? ''];
  if (subject === undefined || role === undefined) return undefined;
  const scope = namespace === undefined ? '--fleet' : `-n ${namespace}`;
  return `An admin can allow it: "longshore role grant ${role} ${subject} ${scope}"; on the node itself root may do everything.`;
}
