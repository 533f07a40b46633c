import { once } from 'node:events';
import { constants, createServer, type ServerHttp2Stream } from 'node:http2';
import { createServer as createNetServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import {
  Content,
  InfoRequestSchema,
  ReadContentRequestSchema,
  type ReadContentResponse,
  WriteContentRequestSchema,
} from '@longshore/proto/containerd/services/content/v1/content';
import { isRetrySafe } from '@longshore/transport';
import { scratchDirectory, TestAuthority } from '@longshore/transport/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Cable } from '../testing/cable.ts';
import { startContentProcess } from '../testing/content-process.ts';
import { deafServer } from '../testing/deaf-server.ts';
import { ended, NO_TLS, silent, TestClient } from '../testing/grpc.ts';
import { testServer } from '../testing/tls.ts';
import { RawListener } from './raw-listener.ts';
import { passOn, type Route } from './route.ts';
import type { GrpcServer } from './server.ts';
import { Upstream } from './upstream.ts';

/** Less than any wait for an answer. */
const AT_ONCE_MS = 1_000;
const READ = create(ReadContentRequestSchema);
const INFO = create(InfoRequestSchema, { digest: 'sha256:a' });

function socketAddress(): string {
  return `unix://${join(scratchDirectory(), 's.sock')}`;
}

/** A server of `Content.Info`, which tells `onInfo` of each call, and of a `Read` that lasts until it is released. */
function replica(onInfo: () => void = () => undefined, release?: Promise<void>): GrpcServer {
  return testServer((server) =>
    server.add(Content, {
      async info({ digest }) {
        onInfo();
        return { info: { digest } };
      },
      async *read() {
        yield { offset: 1n };
        await release;
        yield { offset: 2n };
      },
    }),
  );
}

/** A plain client of a door that passes everything on to these addresses. */
async function clientOf(addresses: string, options: Partial<Route> = {}) {
  const upstream = new Upstream(addresses);
  const listener = new RawListener((stream, headers) => {
    const retrySafe = isRetrySafe(String(headers[':path']));
    void passOn(stream, headers, { name: 'service "test"', upstream, headers: {}, retrySafe, ...options });
  }, silent);
  const door = await listener.listen(socketAddress(), NO_TLS);
  onTestFinished(async () => {
    await listener.close(0);
    await upstream.close();
  });
  return new TestClient(Content, door);
}

/** Asks again and again, four at a time, until it is stopped; answers how many were answered, and all failures. */
function load(client: TestClient) {
  let isOver = false;
  let answered = 0;
  const failures: unknown[] = [];
  const work = async () => {
    while (!isOver) {
      try {
        await client.unary('Info', INFO);
        answered++;
      } catch (error) {
        failures.push(error);
      }
    }
  };
  const workers = [work(), work(), work(), work()];
  return {
    /** Resolves when so many more calls have ended. */
    more: (count: number) => {
      const goal = answered + failures.length + count;
      return vi.waitFor(() => expect(answered + failures.length).toBeGreaterThan(goal), { timeout: 20_000 });
    },
    stop: async () => {
      isOver = true;
      await Promise.all(workers);
      return failures;
    },
  };
}

describe('an upstream with two replicas', () => {
  it('takes turns', async () => {
    const counts = [0, 0];
    const addresses = await Promise.all(
      counts.map((_, index) => replica(() => counts[index]!++).listen(socketAddress(), NO_TLS)),
    );
    const client = await clientOf(addresses.join(','));
    for (let n = 0; n < 10; n++) await client.unary('Info', INFO);
    expect(counts).toEqual([5, 5]);
  });

  it('answers every read while one is killed and comes back', async () => {
    const [first, second] = [await startContentProcess(), await startContentProcess()];
    const reads = load(await clientOf(`${first.address},${second.address}`));
    await reads.more(200);
    await first.kill();
    await reads.more(200);
    await startContentProcess(first.address);
    await reads.more(200);
    await second.kill();
    await reads.more(200);
    expect(await reads.stop()).toEqual([]);
  });

  it('answers every call while each restarts gracefully, and finishes the streams in flight', async () => {
    const addresses = [socketAddress(), socketAddress()];
    const releases = addresses.map(() => Promise.withResolvers<void>());
    const servers = releases.map(({ promise }) => replica(undefined, promise));
    for (const [index, server] of servers.entries()) await server.listen(addresses[index]!, NO_TLS);
    // Not even reads are made twice here: nothing may be lost in the first place.
    const client = await clientOf(addresses.join(','), { retrySafe: false });
    const streams = servers.map(() => client.serverStream<ReadContentResponse>('Read', READ));
    const statuses = streams.map(ended);
    await Promise.all(streams.map((stream) => once(stream, 'data')));
    const reads = load(client);
    for (const [index, server] of servers.entries()) {
      await reads.more(100);
      const closed = server.close(20_000);
      await reads.more(200);
      releases[index]!.resolve();
      await closed;
      await replica().listen(addresses[index]!, NO_TLS);
    }
    await reads.more(100);
    expect((await Promise.all(statuses)).map(({ code }) => code)).toEqual([0, 0]);
    expect(await reads.stop()).toEqual([]);
  });

  it('makes a call that was refused unheard at the other one, with all of its request', async () => {
    const directory = scratchDirectory();
    const refusing = createServer().on('stream', (stream: ServerHttp2Stream, headers) => {
      stream.on('error', () => undefined);
      if (String(headers[':path']).endsWith('/Check')) {
        stream.respond({ ':status': 200, 'grpc-status': '12' }, { endStream: true });
      } else {
        stream.once('data', () => stream.close(constants.NGHTTP2_REFUSED_STREAM));
      }
    });
    await new Promise<void>((resolve) => refusing.listen(join(directory, 'a.sock'), resolve));
    onTestFinished(() => void refusing.close());
    const written: string[] = [];
    const server = testServer((made) =>
      made.add(Content, {
        async *write(requests) {
          for await (const { ref } of requests) {
            written.push(ref);
            yield {};
          }
        },
      }),
    );
    const good = await server.listen(`unix://${join(directory, 'b.sock')}`, NO_TLS);
    const client = await clientOf(`unix://${join(directory, 'a.sock')},${good}`);
    for (const ref of ['first', 'second', 'third']) {
      const call = client.bidi('Write');
      const status = ended(call);
      call.write(create(WriteContentRequestSchema, { ref }));
      await once(call, 'data');
      call.write(create(WriteContentRequestSchema, { ref: `${ref}, part 2` }));
      call.end();
      call.resume();
      expect((await status).code).toBe(0);
    }
    expect(written).toEqual(['first', 'second', 'third'].flatMap((ref) => [ref, `${ref}, part 2`]));
  });

  it('sends what has the same key to the same one, and elsewhere once that is gone', async () => {
    const seen: number[] = [];
    const servers = [0, 1].map((index) => replica(() => seen.push(index)));
    const addresses = [socketAddress(), socketAddress()];
    for (const [index, server] of servers.entries()) await server.listen(addresses[index]!, NO_TLS);
    const client = await clientOf(addresses.join(','), { sticky: 'stream-1' });
    for (let n = 0; n < 6; n++) await client.unary('Info', INFO);
    const [home] = seen;
    expect(seen).toEqual(Array(6).fill(home));
    await servers[home!]!.close(0);
    await client.unary('Info', INFO);
    expect(seen.at(-1)).toBe(1 - home!);
  });

  it('passes over one that does not serve', async () => {
    const counts = [0, 0];
    const servers = counts.map((_, index) => replica(() => counts[index]!++));
    const addresses = await Promise.all(servers.map((server) => server.listen(socketAddress(), NO_TLS)));
    servers[0]!.health.setServing(false);
    const client = await clientOf(addresses.join(','));
    for (let n = 0; n < 4; n++) await client.unary('Info', INFO);
    expect(counts).toEqual([0, 4]);
  });
});

describe('an upstream that cannot be reached', () => {
  it('fails at once when connections are refused', async () => {
    const authority = new TestAuthority();
    const upstream = new Upstream('127.0.0.1:1,127.0.0.1:2', authority.issue('service/gateway'));
    onTestFinished(() => upstream.close());
    await expect(upstream.open({ ':path': '/a/B' })).rejects.toThrow(/ECONNREFUSED/);
    const startedAt = performance.now();
    await expect(upstream.open({ ':path': '/a/B' })).rejects.toThrow(/ECONNREFUSED/);
    expect(performance.now() - startedAt).toBeLessThan(AT_ONCE_MS);
  });

  it('waits for one that is silent once, and finds it when it speaks', async () => {
    const path = join(scratchDirectory(), 'silent.sock');
    const sockets = new Set<{ destroy(): void }>();
    const mute = createNetServer((socket) => sockets.add(socket)).listen(path);
    const stop = () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => mute.close(resolve));
    };
    onTestFinished(async () => void (await stop()));
    const upstream = new Upstream(`unix://${path}`);
    onTestFinished(() => upstream.close());
    await expect(upstream.open({ ':path': '/a/B' })).rejects.toThrow('connect timed out');
    const startedAt = performance.now();
    await expect(upstream.open({ ':path': '/a/B' })).rejects.toThrow('connect timed out');
    expect(performance.now() - startedAt).toBeLessThan(AT_ONCE_MS);
    await stop();
    // It comes back in steps, as hosts do: at first there is nobody to answer, and that costs nothing to find out.
    await vi.waitFor(() => expect(upstream.open({ ':path': '/a/B' })).rejects.toThrow('ENOENT'), {
      timeout: 10_000,
    });
    await replica().listen(`unix://${path}`, NO_TLS);
    await vi.waitFor(async () => (await upstream.open({ ':path': '/a/B' })).on('error', () => undefined), {
      timeout: 10_000,
    });
  });

  it('gives up a machine that loses all that is sent to it', async () => {
    const lost = await deafServer();
    const upstream = new Upstream(lost, new TestAuthority().issue('service/gateway'));
    onTestFinished(() => upstream.close());
    await expect(upstream.open({ ':path': '/a/B' })).rejects.toThrow('connect timed out');
  }, 10_000);

  it('fails at once after a server that was there has fallen silent, and finds it again', async () => {
    const authority = new TestAuthority();
    const server = await replica().listen('127.0.0.1:0', authority.issue('service/content'));
    const cable = await Cable.to(server);
    const upstream = new Upstream(cable.address, authority.issue('service/gateway'));
    onTestFinished(() => upstream.close());
    const stream = (await upstream.open({ ':path': '/a/B' })).on('error', () => undefined);
    cable.cut();
    await new Promise((resolve) => stream.once('close', resolve));
    const startedAt = performance.now();
    await expect(upstream.open({ ':path': '/a/B' })).rejects.toThrow('does not answer');
    expect(performance.now() - startedAt).toBeLessThan(AT_ONCE_MS);
    cable.mend();
    await vi.waitFor(async () => (await upstream.open({ ':path': '/a/B' })).on('error', () => undefined), {
      timeout: 10_000,
    });
  }, 20_000);

  it('fails at once after the kernel has given a server up', async () => {
    const authority = new TestAuthority();
    const server = await replica().listen('127.0.0.1:0', authority.issue('service/content'));
    const cable = await Cable.to(server);
    const sockets: Socket[] = [];
    const onSocket = (socket: Socket) => sockets.push(socket);
    const upstream = new Upstream(cable.address, authority.issue('service/gateway'), { onSocket });
    onTestFinished(() => upstream.close());
    const stream = (await upstream.open({ ':path': '/a/B' })).on('error', () => undefined);
    const closed = new Promise((resolve) => stream.session!.once('close', resolve));
    cable.cut();
    sockets[0]!.destroy(Object.assign(new Error('read ETIMEDOUT'), { code: 'ETIMEDOUT' }));
    await closed;
    const startedAt = performance.now();
    await expect(upstream.open({ ':path': '/a/B' })).rejects.toThrow('ETIMEDOUT');
    expect(performance.now() - startedAt).toBeLessThan(AT_ONCE_MS);
  });

  it('does not wait long for a silent replica while there is another', async () => {
    const path = join(scratchDirectory(), 'silent.sock');
    const sockets: { destroy(): void }[] = [];
    const mute = createNetServer((socket) => sockets.push(socket)).listen(path);
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      mute.close();
    });
    const client = await clientOf(`unix://${path},${await replica().listen(socketAddress(), NO_TLS)}`);
    const startedAt = performance.now();
    for (let n = 0; n < 4; n++) await client.unary('Info', INFO);
    expect(performance.now() - startedAt).toBeLessThan(2_500);
  });
});
