import { invalidArgument } from '@longshore/errors';

/** Where an event belongs: it decides the subject, and with it who may read it. */
export interface EventAddress {
  namespace: string;
  /** A node's id, or `_` for the fleet's own. */
  node: string;
  /** e.g. `/tasks/exit` */
  topic: string;
}

const PREFIX = 'longshore.events';
const FIRST_TOPIC_TOKEN = 4;

/** The subjects of all events: what the stream takes. */
export const ALL_EVENTS = `${PREFIX}.>`;

/** `longshore.events.<namespace>.<node>.<topic>`, a token for each part of the topic. */
export function subjectOf({ namespace, node, topic }: EventAddress): string {
  const parts = topic.split('/');
  if (parts.length < 2 || parts[0] !== '' || parts.slice(1).includes('') || !namespace || !node) {
    throw invalidArgument(
      `event ${JSON.stringify(topic)} of ${JSON.stringify(`${namespace}/${node}`)}: no subject for it`,
    );
  }
  return [PREFIX, ...[namespace, node, ...parts.slice(1)].map(escapeToken)].join('.');
}

/** The inverse of {@link subjectOf}. Throws InvalidArgument for anything that it does not build. */
export function parseSubject(subject: string): EventAddress {
  const tokens = subject.split('.');
  const [namespace = '', node = '', ...topic] = tokens.slice(FIRST_TOPIC_TOKEN - 2).map(unescapeToken);
  const address = { namespace, node, topic: `/${topic.join('/')}` };
  const isOurs = tokens.length > FIRST_TOPIC_TOKEN && tokens.every((token) => token !== '');
  if (!isOurs || subjectOf(address) !== subject) throw invalidArgument(`subject ${JSON.stringify(subject)}`);
  return address;
}

/** The subjects of one namespace, one node, both, or of all events. */
export function subjectFilter(
  scope: { namespace?: string | undefined; node?: string | undefined } = {},
): string {
  const { namespace, node } = scope;
  return [PREFIX, namespace ? escapeToken(namespace) : '*', node ? escapeToken(node) : '*', '>'].join('.');
}

/** NATS gives `.`, `*`, `>` and blanks a meaning; percent-escapes keep every other name apart and readable. */
function escapeToken(name: string): string {
  if (/^[A-Za-z0-9_-]*$/.test(name)) return name;
  return Array.from(Buffer.from(name, 'utf8'), escapeByte).join('');
}

function escapeByte(byte: number): string {
  const character = String.fromCharCode(byte);
  return /[A-Za-z0-9_-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

function unescapeToken(token: string): string {
  try {
    return decodeURIComponent(token);
  } catch (error) {
    throw invalidArgument(`subject token ${JSON.stringify(token)}`, { cause: error });
  }
}
