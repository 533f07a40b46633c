import { invalidArgument } from '@longshore/errors';
import type { FastifyRequest } from 'fastify';

const SEQUENCE = /^\d{1,18}$/;

/** The place in the stream of events behind which a request wants to go on: of its header, or of its query. Throws InvalidArgument. */
export function sequenceOf({ headers }: FastifyRequest, after: string | undefined): bigint | undefined {
  const last = headers['last-event-id'];
  // A browser's own, after a break, is nearer than what its page asked for at first.
  const text = typeof last === 'string' && last !== '' ? last : after;
  if (text === undefined) return undefined;
  if (!SEQUENCE.test(text)) throw invalidArgument(`event ${JSON.stringify(text)}: is no place in the stream`);
  return BigInt(text);
}
