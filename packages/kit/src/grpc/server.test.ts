import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { create, fromBinary } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';
import { type ErrorKind, LongshoreError, notFound } from '@longshore/errors';
import {
  Content,
  InfoRequestSchema,
  ReadContentRequestSchema,
  WriteContentRequestSchema,
} from '@longshore/proto/containerd/services/content/v1/content';
import { Version, type VersionResponse } from '@longshore/proto/containerd/services/version/v1/version';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import { describe, expect, it, vi } from 'vitest';
import { createMetrics } from '../metrics.ts';
import { ended, NO_TLS, silent, startServer, TestClient } from '../testing/grpc.ts';
import { scratchDirectory } from '../testing/scratch.ts';
import { settled } from '../testing/settled.ts';
import type { Call } from './call.ts';
import { GrpcServer } from './server.ts';

const EMPTY = create(EmptySchema);
const READ = create(ReadContentRequestSchema);
const VERSION = { version: '1', revision: 'r' };

function startVersion(handle: (call: Call) => Promise<typeof VERSION>) {
  return startServer((server) => server.add(Version, { version: (_, call) => handle(call) }));
}

describe('GrpcServer', () => {
  it('answers a unary call of a plain client', async () => {
    const { address } = await startVersion(async () => VERSION);
    const { answer } = await new TestClient(Version, address).unary<VersionResponse>('Version', EMPTY);
    expect(answer).toMatchObject(VERSION);
  });

  const KINDS: [ErrorKind, number][] = [
    ['InvalidArgument', 3],
    ['NotFound', 5],
    ['AlreadyExists', 6],
    ['FailedPrecondition', 9],
    ['OutOfRange', 11],
    ['Unimplemented', 12],
    ['Unavailable', 14],
    ['Unknown', 2],
  ];
  it.each(KINDS)('sends an error %s as code %i with its message', async (kind, code) => {
    const { address } = await startVersion(() => Promise.reject(new LongshoreError(kind, 'thing "ü": no')));
    const call = new TestClient(Version, address).unary('Version', EMPTY);
    await expect(call).rejects.toMatchObject({ code, message: 'thing "ü": no' });
  });

  it('tells Conflict from FailedPrecondition by the tail of the message', async () => {
    const { address } = await startVersion(() => Promise.reject(new LongshoreError('Conflict', 'thing "a"')));
    const call = new TestClient(Version, address).unary('Version', EMPTY);
    await expect(call).rejects.toMatchObject({ code: 9, message: 'thing "a": conflict' });
  });

  it('sends what nobody foresaw as Unknown, and stays up', async () => {
    const { address } = await startVersion(() => Promise.reject(new TypeError('x is not a function')));
    const client = new TestClient(Version, address);
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(client.unary('Version', EMPTY)).rejects.toMatchObject({ code: 2 });
    }
  });

  it('answers Unimplemented for an rpc without handler, a stream too, and for a service it does not have', async () => {
    const { address } = await startServer((server) => server.add(Content, {}));
    const client = new TestClient(Content, address);
    await expect(client.unary('Info', create(InfoRequestSchema))).rejects.toMatchObject({
      code: 12,
      message: 'rpc containerd.services.content.v1.Content/Info: not implemented',
    });
    const stream = client.serverStream('Read', READ);
    stream.resume();
    expect(await ended(stream)).toMatchObject({ code: 12 });
    await expect(new TestClient(Version, address).unary('Version', EMPTY)).rejects.toMatchObject({
      code: 12,
    });
  });

  it('ends a stream that fails on its way with the status, after what was sent', async () => {
    const { address } = await startServer((server) =>
      server.add(Content, {
        async *read() {
          yield { offset: 1n };
          throw notFound('content "x"');
        },
      }),
    );
    const stream = new TestClient(Content, address).serverStream<{ offset: bigint }>('Read', READ);
    const status = ended(stream);
    const offsets: bigint[] = [];
    stream.on('data', ({ offset }) => offsets.push(offset));
    expect(await status).toMatchObject({ code: 5, message: 'content "x": not found' });
    expect(offsets).toEqual([1n]);
  });

  it('sends the events that a call caused in its trailers, of a failed call too', async () => {
    const report = (call: Call) => {
      for (const topic of ['/images/create', '/images/update']) {
        call.reportEvent({ namespace: 'ns', topic, typeUrl: 'a.B', payload: new Uint8Array([1, 2]) });
      }
    };
    const { address } = await startServer((server) => {
      server.add(Version, {
        async version(_, call) {
          report(call);
          return VERSION;
        },
      });
      server.add(Content, {
        // biome-ignore lint/correctness/useYield: it fails before its first message.
        async *read(_, call) {
          report(call);
          throw notFound('x');
        },
      });
    });
    const { trailers } = await new TestClient(Version, address).unary('Version', EMPTY);
    const stream = new TestClient(Content, address).serverStream('Read', READ);
    stream.resume();
    const failed = await ended(stream);
    for (const metadata of [trailers, failed.trailers]) {
      const envelopes = metadata
        .get('longshore-event-bin')
        .map((bytes) => fromBinary(EnvelopeSchema, bytes as Buffer));
      expect(envelopes.map(({ topic }) => topic)).toEqual(['/images/create', '/images/update']);
      expect(envelopes[0]).toMatchObject({
        namespace: 'ns',
        event: { typeUrl: 'a.B', value: Buffer.from([1, 2]) },
      });
    }
  });

  it('takes messages of up to 16 MiB and refuses larger ones', async () => {
    const { address } = await startServer((server) =>
      server.add(Content, {
        async *write(requests) {
          for await (const { data } of requests) yield { total: BigInt(data.length) };
        },
      }),
    );
    const client = new TestClient(Content, address, undefined, { 'grpc.max_send_message_length': -1 });
    const write = async (sizeBytes: number) => {
      const call = client.bidi<{ total: bigint }>('Write');
      const status = ended(call);
      let total = 0n;
      call.on('data', (answer) => {
        total = answer.total;
      });
      call.end(create(WriteContentRequestSchema, { data: new Uint8Array(sizeBytes) }));
      return { ...(await status), total };
    };
    const MiB = 1024 * 1024;
    expect(await write(16 * MiB - 64)).toMatchObject({ code: 0, total: BigInt(16 * MiB - 64) });
    expect(await write(16 * MiB + 1)).toMatchObject({ code: 8 });
  });

  it('does not produce faster than its caller reads', async () => {
    let produced = 0;
    const chunk = new Uint8Array(1024 * 1024);
    const { address } = await startServer((server) =>
      server.add(Content, {
        async *read() {
          for (produced = 0; produced < 64; produced++) yield { data: chunk };
        },
      }),
    );
    const stream = new TestClient(Content, address).serverStream<{ data: Uint8Array }>('Read', READ);
    const status = ended(stream);
    const messages = stream[Symbol.asyncIterator]();
    let received = (await messages.next()).value.data.length;
    await settled(() => produced);
    // What two windows and the client's own queue hold.
    expect(produced).toBeLessThan(40);
    for await (const { data } of { [Symbol.asyncIterator]: () => messages }) received += data.length;
    expect(received).toBe(64 * chunk.length);
    expect((await status).code).toBe(0);
  });

  it('listens on a socket for its owner only', async () => {
    const { address } = await startVersion(async () => VERSION);
    expect(statSync(address.slice('unix://'.length)).mode & 0o777).toBe(0o600);
  });
});

describe('GrpcServer.close', () => {
  it('lets a call in flight finish and takes no new ones', async () => {
    const entered = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const { server, address } = await startVersion(async () => {
      entered.resolve();
      await release.promise;
      return VERSION;
    });
    const inFlight = new TestClient(Version, address).unary('Version', EMPTY);
    await entered.promise;
    const closed = server.close(60_000);
    await vi.waitFor(() => expect(existsSync(address.slice('unix://'.length))).toBe(false));
    await expect(new TestClient(Version, address).unary('Version', EMPTY)).rejects.toMatchObject({
      code: 14,
    });
    release.resolve();
    expect((await inFlight).answer).toMatchObject(VERSION);
    await closed;
  });

  it('cuts what is left after the timeout', async () => {
    const entered = Promise.withResolvers<Call>();
    const { server, address } = await startVersion((call) => {
      entered.resolve(call);
      return new Promise(() => undefined);
    });
    const inFlight = new TestClient(Version, address).unary('Version', EMPTY);
    const cut = expect(inFlight).rejects.toMatchObject({
      code: expect.toSatisfy((code) => code === 1 || code === 14),
    });
    const call = await entered.promise;
    await server.close(50);
    await cut;
    await vi.waitFor(() => expect(call.signal.aborted).toBe(true));
  });

  it('tells handlers that wait for ever, and ends at once when they end', async () => {
    const entered = Promise.withResolvers<void>();
    const server = new GrpcServer(silent, createMetrics('test'));
    server.add(Version, {
      version: () => {
        entered.resolve();
        return new Promise((_, reject) =>
          server.stopping.addEventListener('abort', () => reject(server.stopping.reason)),
        );
      },
    });
    const address = `unix://${join(scratchDirectory(), 'a.sock')}`;
    await server.listen(address, NO_TLS);
    const inFlight = new TestClient(Version, address).unary('Version', EMPTY);
    await Promise.all([
      expect(inFlight).rejects.toMatchObject({ code: 1 }),
      entered.promise.then(() => server.close(60_000)),
    ]);
  });

  it('may be called without having listened', async () => {
    await new GrpcServer(silent, createMetrics('test')).close(1000);
  });
});
