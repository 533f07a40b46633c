import { once } from 'node:events';
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
    texts(first, events, reply.request.stopped, (error) => {
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
  stopped: AbortSignal | undefined,
  describe: (error: unknown) => Problem,
) {
  try {
    let next = first;
    while (!next.done) {
      yield textOf(next.value);
      const coming = rest.next();
      while (await isLate(coming, stopped)) yield ': still here\n\n';
      next = await coming;
    }
  } catch (error) {
    yield textOf({ event: 'problem', data: describe(error) });
  } finally {
    const end = rest.return(undefined);
    // What was asked of it last ends when the answer has.
    if (stopped?.aborted) end.catch(() => undefined);
    else await end;
  }
}

/** Throws why the caller may hear no more. */
async function isLate(coming: Promise<unknown>, stopped: AbortSignal | undefined): Promise<boolean> {
  if (stopped?.aborted) {
    coming.catch(() => undefined);
    throw stopped.reason;
  }
  const over = new AbortController();
  const isStopped = stopped && once(stopped, 'abort', { signal: over.signal });
  isStopped?.catch(() => undefined);
  const late = delay(HEARTBEAT_MS, true, { signal: over.signal });
  late.catch(() => undefined);
  try {
    const isLate = await Promise.race([coming.then(() => false), late, ...(isStopped ? [isStopped] : [])]);
    stopped?.throwIfAborted();
    return isLate === true;
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
