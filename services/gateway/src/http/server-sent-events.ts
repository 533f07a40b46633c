import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { kindOf } from '@longshore/errors';
import type { FastifyReply } from 'fastify';
import { type Problem, problemOf } from './problem.ts';
import { endAtClose } from './streams/open-streams.ts';

/** What stands between the two drops connections that say nothing for a minute, or for 30 s. */
const HEARTBEAT_MS = 15_000;

export interface ServerSentEvent {
  /** Its type. */
  event: string;
  data: unknown;
  /** For the header `Last-Event-ID`, by which a caller goes on behind it. */
  id?: string | undefined;
}

/** In the place of a first event: all is well, and there is nothing to tell yet. */
export const OPENED = 'opened';

/**
 * Answers with events as they come, at the speed of the caller. What fails before the first one is thrown, and becomes a
 * status; a later failure is the last event, `problem`. A caller that goes away ends the source.
 */
export async function sendEvents(
  reply: FastifyReply,
  requestId: string,
  events: AsyncGenerator<ServerSentEvent | typeof OPENED>,
): Promise<FastifyReply> {
  const first = await events.next();
  const body = Readable.from(
    texts(first, events, (error) => {
      reply.request.record?.end({ error: kindOf(error) });
      return problemOf(error, requestId);
    }),
  );
  endAtClose(reply, body);
  return reply
    .type('text/event-stream')
    .header('cache-control', 'no-store')
    .header('x-accel-buffering', 'no')
    .send(body);
}

async function* texts(
  first: IteratorResult<ServerSentEvent | typeof OPENED>,
  rest: AsyncGenerator<ServerSentEvent | typeof OPENED>,
  describe: (error: unknown) => Problem,
) {
  try {
    let next = first;
    while (!next.done) {
      yield textOf(next.value);
      const coming = rest.next();
      while (await isLate(coming)) yield ': still here\n\n';
      next = await coming;
    }
  } catch (error) {
    yield textOf({ event: 'problem', data: describe(error) });
  } finally {
    await rest.return(undefined);
  }
}

async function isLate(coming: Promise<unknown>): Promise<boolean> {
  const over = new AbortController();
  const late = delay(HEARTBEAT_MS, true, { signal: over.signal });
  late.catch(() => undefined);
  try {
    return await Promise.race([coming.then(() => false), late]);
  } finally {
    over.abort();
  }
}

/** JSON has no line breaks outside of strings, and none within. */
function textOf(item: ServerSentEvent | typeof OPENED): string {
  if (item === OPENED) return ': opened\n\n';
  const { event, data, id } = item;
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
