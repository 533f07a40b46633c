import { once } from 'node:events';
import { LongshoreError } from '@longshore/errors';
import { ANONYMOUS } from '@longshore/transport';
import { fastify } from 'fastify';
import { expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Caller } from '../../access/caller.ts';
import type { StandingCall } from '../../access/stream-judge.ts';
import type { AuditRefusal } from '../../audit/audit-log.ts';
import { inNamespace } from '../route-rule.ts';
import { judgeRequests } from '../standing-requests.ts';
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

it('a socket whose caller may talk no more is told why and closed, one that does not listen too', async () => {
  const standing: StandingCall[] = [];
  const refused: AuditRefusal[] = [];
  const app = fastify();
  await acceptSockets(app);
  app.decorateRequest('caller', null as unknown as Caller);
  app.decorateRequest('isKept', false);
  app.decorateRequest('failure', undefined);
  app.addHook('onRequest', async (request) => {
    request.caller = { kind: 'token', name: 'token/1', groups: [] };
  });
  const watch = (call: StandingCall) => {
    standing.push(call);
    return () => undefined;
  };
  judgeRequests(
    app,
    { watch },
    {
      audit: { begin: async () => ({ end: () => undefined }), refused: (refusal) => refused.push(refusal) },
      certificates: { peerOn: () => ANONYMOUS },
    },
  );
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
  const messages: string[] = [];
  polite!.on('message', (data) => messages.push(String(data)));
  const left = once(polite!, 'close');
  const error = new LongshoreError('Unauthenticated', 'the bearer token is not valid: unauthenticated');
  for (const call of standing) call.end(error);
  expect((await left)[0]).toBe(1008);
  expect(messages.join()).toContain('"kind":"Unauthenticated"');
  await expect.poll(() => app.websocketServer.clients.size).toBe(0);
  expect(refused.map(({ caller, action }) => `${caller} ${action}`)).toEqual(
    Array(2).fill('token/1 GET /talk'),
  );
  deaf!.terminate();
  await app.close();
});
