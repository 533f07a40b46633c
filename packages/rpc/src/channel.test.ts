import { createServer, type Socket } from 'node:net';
import { create } from '@bufbuild/protobuf';
import type { Server, ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { isKind, kindOf, messageOf } from '@longshore/errors';
import {
  CreateImageResponseSchema,
  type GetImageRequest,
  GetImageResponseSchema,
  Images,
} from '@longshore/proto/containerd/services/images/v1/images';
import { Revocations, TlsIdentity } from '@longshore/transport';
import { serialOfFile, TestAuthority } from '@longshore/transport/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createClient } from './create-client.ts';
import { openChannel, serverTls, socketPath, startServer } from './testing/grpc-server.ts';

/** For a machine that does other things too. */
const SLOW = { timeout: 20_000 };

type GetCall = { request: GetImageRequest };

function handlers(onGet: () => void = () => undefined) {
  return {
    Get: (_: GetCall, answer: sendUnaryData<unknown>) => {
      onGet();
      answer(null, create(GetImageResponseSchema));
    },
    Create: (_: unknown, answer: sendUnaryData<unknown>) => answer(null, create(CreateImageResponseSchema)),
  };
}

function outcomeOf(work: Promise<unknown>): Promise<string> {
  return work.then(() => 'OK', kindOf);
}

async function timed(work: Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work.catch(() => undefined);
  return performance.now() - startedAt;
}

describe('a channel to two replicas', () => {
  async function startTwo() {
    const counts = [0, 0];
    const paths = [socketPath(), socketPath()];
    const start = (index: number) =>
      startServer(
        Images,
        handlers(() => counts[index]!++),
        `unix:${paths[index]}`,
      );
    const servers: Server[] = [];
    for (const index of [0, 1]) servers.push((await start(index)).server);
    const images = createClient(Images, openChannel(paths.map((path) => `unix://${path}`).join(',')));
    return { counts, servers, start, images };
  }

  it('takes turns', async () => {
    const { counts, images } = await startTwo();
    await vi.waitFor(async () => {
      await images.get({ name: 'a' });
      expect(Math.min(...counts)).toBeGreaterThan(0);
    }, SLOW);
    const before = [...counts];
    for (let n = 0; n < 10; n++) await images.get({ name: 'a' });
    expect(counts).toEqual(before.map((count) => count + 5));
  });

  it('answers every call while one after the other is cut off and comes back', async () => {
    const { servers, start, images } = await startTwo();
    const failures: string[] = [];
    let answered = 0;
    let isOver = false;
    const work = async () => {
      while (!isOver) {
        const outcome = await outcomeOf(images.get({ name: 'a' }));
        if (outcome === 'OK') answered++;
        else failures.push(outcome);
      }
    };
    const workers = [work(), work(), work()];
    const more = (count: number) => {
      const goal = answered + count;
      return vi.waitFor(() => expect(answered).toBeGreaterThan(goal), SLOW);
    };
    for (const index of [0, 1]) {
      await more(100);
      servers[index]!.forceShutdown();
      await more(100);
      await start(index);
      await more(1000);
    }
    isOver = true;
    await Promise.all(workers);
    expect(failures).toEqual([]);
  });

  it('begins streams where somebody answers', async () => {
    const { servers, images, counts } = await startTwo();
    await images.get({ name: 'a' });
    servers[0]!.forceShutdown();
    // Only one is left for this and the next ones.
    for (let n = 0; n < 5; n++) await images.get({ name: 'a' });
    expect(counts[1]).toBeGreaterThanOrEqual(4);
  });
});

describe('a channel over TLS', () => {
  async function startSecure(identity: string) {
    const authority = new TestAuthority();
    const tls = authority.issue(identity);
    const { server, address } = await startServer(Images, handlers(), '127.0.0.1:0', serverTls(tls));
    return { authority, tls, server, address };
  }

  it('reaches whom it expects, by the name in the certificate and no host name', async () => {
    const { authority, address } = await startSecure('service/image');
    const options = { expect: 'service/image' };
    const images = createClient(Images, openChannel(address, authority.issue('service/gateway'), options));
    await images.get({ name: 'a' });
  });

  it.each([
    ['service/content', { expect: 'service/image' }],
    ['node/n2', { expect: 'node/n1' }],
    ['user/alice', {}],
  ])('does not take %s for another', async (identity, options) => {
    const { authority, address } = await startSecure(identity);
    const images = createClient(Images, openChannel(address, authority.issue('service/gateway'), options));
    const error = await images.get({ name: 'a' }).catch((caught) => caught);
    expect(isKind(error, 'Unavailable')).toBe(true);
    expect(messageOf(error)).toMatch(/the server's certificate (is for|names no)/);
  });

  it('reaches with no certificate of its own whom its authorities know, and shows what each call is given', async () => {
    const authority = new TestAuthority();
    const tls = authority.issue('service/gateway');
    const seen: unknown[] = [];
    const get = (call: ServerUnaryCall<GetImageRequest, unknown>, answer: sendUnaryData<unknown>) => {
      seen.push(...call.metadata.get('authorization'));
      answer(null, create(GetImageResponseSchema));
    };
    const credentials = serverTls(tls, false);
    const { address } = await startServer(Images, { Get: get }, '127.0.0.1:0', credentials);
    const ownFiles = { tlsCert: '', tlsKey: '', tlsCa: tls.tlsCa };
    const options = { expect: 'service/gateway', isAnonymous: true };
    const images = createClient(Images, openChannel(address, ownFiles, options), async (_, given) => ({
      ...given,
      headers: { authorization: 'Bearer a' },
    }));
    await images.get({ name: 'a' });
    expect(seen).toEqual(['Bearer a']);
    const other = { ...ownFiles, tlsCa: new TestAuthority().issue('service/gateway').tlsCa };
    expect(await outcomeOf(createClient(Images, openChannel(address, other, options)).get({}))).toBe(
      'Unavailable',
    );
    expect(() => openChannel(address, ownFiles, { expect: 'service/gateway' })).toThrow(/TCP needs TLS/);
    expect(() => openChannel(address, { ...ownFiles, tlsCa: '' }, options)).toThrow(/TCP needs TLS/);
  });

  it('does not speak to a server whose certificate is revoked', async () => {
    const { authority, address, tls } = await startSecure('service/image');
    const revocations = new Revocations();
    revocations.replace([serialOfFile(tls)]);
    const channel = openChannel(address, authority.issue('service/gateway'), { revocations });
    expect(await outcomeOf(createClient(Images, channel).get({ name: 'a' }))).toBe('Unavailable');
  });

  it('ends the calls that a server has when its certificate is revoked, and makes no more', async () => {
    const authority = new TestAuthority();
    const tls = authority.issue('service/image');
    const { promise: entered, resolve } = Promise.withResolvers<void>();
    const hangs = { ...handlers(), Get: () => resolve() };
    const { address } = await startServer(Images, hangs, '127.0.0.1:0', serverTls(tls));
    const revocations = new Revocations();
    const images = createClient(
      Images,
      openChannel(address, authority.issue('service/gateway'), { revocations }),
    );
    const outcome = outcomeOf(images.get({ name: 'a' }));
    await entered;
    await images.create({});
    revocations.replace([serialOfFile(tls)]);
    expect(await outcome).toBe('Unavailable');
    expect(await outcomeOf(images.create({}))).toBe('Unavailable');
  });

  it('shows a new certificate of its own without being made anew', async () => {
    const authority = new TestAuthority();
    const tls = authority.issue('service/image');
    const shown: (string | undefined)[] = [];
    const get = {
      Get: (
        call: GetCall & { getAuthContext(): { sslPeerCertificate?: { serialNumber: string } } },
        answer: sendUnaryData<unknown>,
      ) => {
        shown.push(call.getAuthContext().sslPeerCertificate?.serialNumber);
        answer(null, create(GetImageResponseSchema));
      },
    };
    const { server, address } = await startServer(Images, get, '127.0.0.1:0', serverTls(tls));
    const own = authority.issue('service/gateway');
    const images = createClient(Images, openChannel(address, own));
    await images.get({ name: 'a' });
    authority.issue('service/gateway');
    TlsIdentity.reload(own);
    // The server goes away for a moment, as it does when it restarts.
    server.forceShutdown();
    await startServer(Images, get, address, serverTls(tls));
    await vi.waitFor(() => images.get({ name: 'a' }), SLOW);
    expect(shown).toHaveLength(2);
    expect(shown[1]).not.toBe(shown[0]);
  });
});

it('shows each TCP connection to whoever wants to set it up', async () => {
  const authority = new TestAuthority();
  const tls = serverTls(authority.issue('service/image'));
  const { address } = await startServer(Images, handlers(), '127.0.0.1:0', tls);
  const ports: (number | undefined)[] = [];
  const onSocket = (socket: Socket) => ports.push(socket.remotePort);
  const channel = openChannel(address, authority.issue('service/gateway'), { onSocket });
  await createClient(Images, channel).get({ name: 'a' });
  expect(ports).toEqual([Number(address.split(':')[1])]);
});

describe('a channel that reaches nobody', () => {
  it('fails at once when connections are refused', async () => {
    const tls = new TestAuthority().issue('service/gateway');
    const images = createClient(Images, openChannel('127.0.0.1:1,127.0.0.1:2', tls));
    expect(await outcomeOf(images.get({ name: 'a' }))).toBe('Unavailable');
  });

  it('waits for a silent host once, and finds it when it speaks', async () => {
    const sockets: { destroy(): void }[] = [];
    const mute = createServer((socket) => sockets.push(socket));
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const { port } = mute.address() as { port: number };
    const stop = () => {
      for (const socket of sockets) socket.destroy();
      mute.close();
    };
    onTestFinished(stop);
    const authority = new TestAuthority();
    const images = createClient(Images, openChannel(`127.0.0.1:${port}`, authority.issue('service/gateway')));
    expect(await timed(images.get({ name: 'a' }))).toBeGreaterThan(1_000);
    expect(await timed(images.get({ name: 'a' }))).toBeLessThan(1_500);
    stop();
    await startServer(Images, handlers(), `127.0.0.1:${port}`, serverTls(authority.issue('service/image')));
    await vi.waitFor(() => images.get({ name: 'a' }), SLOW);
  });
});
