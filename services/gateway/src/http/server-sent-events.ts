import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { type Problem, problemOf } from './problem.ts';

export interface ServerSentEvent {
  /** Its type. */
  event: string;
  data: unknown;
}

/**
 * Answers with events as they come. What fails before the first one is thrown, and becomes a status; a later failure is
 * the last event, `problem`. A caller that goes away ends the source.
 */
export async function sendEvents(
  reply: FastifyReply,
  requestId: string,
  events: AsyncGenerator<ServerSentEvent>,
): Promise<FastifyReply> {
  const first = await events.next();
  const body = Readable.from(texts(first, events, (error) => problemOf(error, requestId)));
  return reply.type('text/event-stream').header('cache-control', 'no-store').send(body);
}

async function* texts(
  first: IteratorResult<ServerSentEvent>,
  rest: AsyncGenerator<ServerSentEvent>,
  describe: (error: unknown) => Problem,
) {
  try {
    for (let next = first; !next.done; next = await rest.next()) yield textOf(next.value);
  } catch (error) {
    yield textOf({ event: 'problem', data: describe(error) });
  } finally {
    await rest.return(undefined);
  }
}

/** JSON has no line breaks outside of strings, and none within. */
function textOf({ event, data }: ServerSentEvent): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
