import { once } from 'node:events';
import { fastify } from 'fastify';
import { expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { inNamespace } from '../route-rule.ts';
import { SUBPROTOCOL } from './channel-protocol.ts';
import { acceptSockets, addSocketRoute } from './socket-route.ts';

it('a server that closes has its sockets come back, and waits for none that does not answer', async () => {
  const app = fastify();
  await acceptSockets(app);
  addSocketRoute(app, {
    url: '/talk',
    schema: {},
    config: inNamespace('read'),
    prepare: async () => undefined,
    talk: async (socket) => {
      for await (const _ of socket.messages());
    },
  });
  const url = (await app.listen({ host: '127.0.0.1', port: 0 })).replace('http', 'ws');
  const [polite, deaf] = [1, 2].map(() => new WebSocket(`${url}/talk`, SUBPROTOCOL));
  await Promise.all([once(polite!, 'open'), once(deaf!, 'open')]);
  deaf!.pause();
  const left = once(polite!, 'close');
  await app.close();
  expect((await left)[0]).toBe(1012);
  deaf!.terminate();
});
