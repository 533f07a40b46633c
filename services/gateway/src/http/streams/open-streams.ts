import type { Server } from 'node:http';
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';

const OPEN = new WeakMap<object, Set<Readable>>();

/** Has answers that would go on for ever end when the server closes, instead of being waited for. */
export function endStreamsAtClose(app: FastifyInstance): void {
  OPEN.set(app.server, new Set());
  app.addHook('preClose', async () => {
    for (const body of OPEN.get(app.server) ?? []) body.destroy();
  });
}

/** Counts the body of an answer among those that {@link endStreamsAtClose} ends. */
export function endAtClose(reply: FastifyReply, body: Readable): void {
  const open = OPEN.get(reply.server.server satisfies Server);
  open?.add(body);
  body.once('close', () => open?.delete(body));
}
