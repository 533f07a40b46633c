import { once } from 'node:events';
import { create } from '@bufbuild/protobuf';
import {
  Metadata,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { isKind, kindOf } from '@longshore/errors';
import {
  Content,
  ReadContentResponseSchema,
  type WriteContentRequest,
  WriteContentResponseSchema,
} from '@longshore/proto/containerd/services/content/v1/content';
import {
  type GetImageRequest,
  GetImageResponseSchema,
  Images,
} from '@longshore/proto/containerd/services/images/v1/images';
import { describe, expect, it } from 'vitest';
import { createClient } from './create-client.ts';
import { openChannel, serve, socketPath, startServer } from './testing/grpc-server.ts';

type GetCall = ServerUnaryCall<GetImageRequest, unknown>;
type ReadCall = ServerWritableStream<unknown, unknown>;
type WriteCall = ServerDuplexStream<WriteContentRequest, unknown>;

function trailersOf(entries: Record<string, string>): Metadata {
  const trailers = new Metadata();
  for (const [name, value] of Object.entries(entries)) trailers.set(name, value);
  return trailers;
}

async function imagesOf(get: (call: GetCall, answer: sendUnaryData<unknown>) => void) {
  return createClient(Images, openChannel(await serve(Images, { Get: get })));
}

describe('a unary call', () => {
  it('sends request and headers, and gives answer and trailers', async () => {
    const images = await imagesOf((call, answer) => {
      const name = `${call.request.name} in ${call.metadata.get('containerd-namespace')[0]}`;
      answer(null, create(GetImageResponseSchema, { image: { name } }), trailersOf({ seen: 'yes' }));
    });
    let trailers: Metadata | undefined;
    const { image } = await images.get(
      { name: 'a' },
      {
        headers: { 'containerd-namespace': 'ns' },
        onTrailers: (metadata) => {
          trailers = metadata;
        },
      },
    );
    expect(image?.name).toBe('a in ns');
    expect(trailers?.get('seen')).toEqual(['yes']);
  });

  it.each([
    [5, 'image "a": not found', 'NotFound'],
    [9, 'image "a": conflict', 'Conflict'],
    [14, 'later', 'Unavailable'],
  ] as const)(
    'throws status %i as an error of its kind, with message, cause and trailers',
    async (code, details, kind) => {
      const images = await imagesOf((_, answer) =>
        answer({ code, details, metadata: trailersOf({ seen: 'yes' }) }),
      );
      let trailers: Metadata | undefined;
      const onTrailers = (metadata: Metadata) => {
        trailers = metadata;
      };
      const error = await images.get({ name: 'a' }, { onTrailers }).catch((thrown) => thrown);
      expect(kindOf(error)).toBe(kind);
      expect(error.message).toBe(details);
      expect(error.cause).toMatchObject({ code });
      expect(trailers?.get('seen')).toEqual(['yes']);
    },
  );

  it('is cancelled by its signal, before and while it is under way', async () => {
    const entered = Promise.withResolvers<GetCall>();
    const images = await imagesOf((call) => entered.resolve(call));
    await expect(images.get({ name: 'a' }, { signal: AbortSignal.abort() })).rejects.toSatisfy((error) =>
      isKind(error, 'Canceled'),
    );
    const controller = new AbortController();
    const answer = images.get({ name: 'a' }, { signal: controller.signal });
    const refused = expect(answer).rejects.toSatisfy((error) => isKind(error, 'Canceled'));
    const call = await entered.promise;
    const cancelled = once(call, 'cancelled');
    controller.abort();
    await Promise.all([refused, cancelled]);
  });

  it('is Unavailable and names the server when that dies while it works', async () => {
    const entered = Promise.withResolvers<void>();
    const { server, address } = await startServer(
      Images,
      { Delete: () => entered.resolve() },
      `unix:${socketPath()}`,
    );
    const images = createClient(Images, openChannel(address, undefined, { expect: 'service/image' }));
    const answer = images.delete({ name: 'a' }).catch((thrown) => thrown);
    await entered.promise;
    server.forceShutdown();
    const error = await answer;
    expect(kindOf(error)).toBe('Unavailable');
    expect(error.message).toMatch(/^service "image": /);
  });

  it('ends at its deadline', async () => {
    const images = await imagesOf(() => undefined);
    const answer = images.get({ name: 'a' }, { deadline: new Date(Date.now() + 50) });
    await expect(answer).rejects.toSatisfy((error) => isKind(error, 'DeadlineExceeded'));
  });
});

describe('a channel', () => {
  it('says Unavailable while nobody listens, and finds the server when it comes', async () => {
    const path = socketPath();
    const images = createClient(Images, openChannel(`unix://${path}`));
    const tryOnce = () => images.get({ name: 'a' }).then(() => 'OK', kindOf);
    expect(await tryOnce()).toBe('Unavailable');
    await serve(
      Images,
      { Get: (_: GetCall, answer: sendUnaryData<unknown>) => answer(null, create(GetImageResponseSchema)) },
      path,
    );
    const deadline = Date.now() + 5000;
    let outcome = await tryOnce();
    while (outcome !== 'OK' && Date.now() < deadline) outcome = await tryOnce();
    expect(outcome).toBe('OK');
  });

  it('does not speak TCP without TLS', () => {
    expect(() => openChannel('127.0.0.1:1')).toThrow(/TCP needs TLS; set LONGSHORE_TLS_CERT/);
  });
});

describe('a server stream', () => {
  async function contentOf(read: (call: ReadCall) => void) {
    return createClient(Content, openChannel(await serve(Content, { Read: read })));
  }

  it('gives the messages, then the trailers', async () => {
    const content = await contentOf((call) => {
      for (const offset of [1n, 2n]) call.write(create(ReadContentResponseSchema, { offset }));
      call.end(trailersOf({ seen: 'yes' }));
    });
    const offsets: bigint[] = [];
    let trailers: Metadata | undefined;
    const onTrailers = (metadata: Metadata) => {
      trailers = metadata;
    };
    for await (const { offset } of content.read({ digest: 'x' }, { onTrailers })) offsets.push(offset);
    expect(offsets).toEqual([1n, 2n]);
    expect(trailers?.get('seen')).toEqual(['yes']);
  });

  it('throws the status after the messages that came before', async () => {
    const content = await contentOf((call) => {
      call.write(create(ReadContentResponseSchema, { offset: 1n }));
      call.emit('error', { code: 11, details: 'content "x": out of range' });
    });
    const offsets: bigint[] = [];
    const reading = (async () => {
      for await (const { offset } of content.read({})) offsets.push(offset);
    })();
    await expect(reading).rejects.toSatisfy((error) => isKind(error, 'OutOfRange'));
    expect(offsets).toEqual([1n]);
  });

  it('is cancelled when its reader stops reading', async () => {
    const cancelled = Promise.withResolvers<void>();
    const content = await contentOf((call) => {
      call.on('cancelled', cancelled.resolve);
      call.write(create(ReadContentResponseSchema));
    });
    for await (const _ of content.read({})) break;
    await cancelled.promise;
  });
});

describe('a conversation', () => {
  async function contentOf(write: (call: WriteCall) => void) {
    return createClient(Content, openChannel(await serve(Content, { Write: write })));
  }

  it('goes message by message', async () => {
    const content = await contentOf((call) => {
      call.on('data', ({ offset }) =>
        call.write(create(WriteContentResponseSchema, { offset: offset * 2n })),
      );
      call.on('end', () => call.end());
    });
    const first = Promise.withResolvers<bigint>();
    async function* requests() {
      yield { offset: 1n };
      yield { offset: (await first.promise) * 10n };
    }
    const answered: bigint[] = [];
    for await (const { offset } of content.write(requests())) {
      first.resolve(offset);
      answered.push(offset);
    }
    expect(answered).toEqual([2n, 40n]);
  });

  it('throws what the server answers while the sender waits for something else', async () => {
    const content = await contentOf((call) => call.emit('error', { code: 14, details: 'ref "a": locked' }));
    async function* requests() {
      yield { offset: 1n };
      await new Promise(() => undefined);
    }
    const reading = content.write(requests())[Symbol.asyncIterator]().next();
    await expect(reading).rejects.toThrow('ref "a": locked');
  });

  it("throws the sender's own error, and cancels the server's call", async () => {
    const cancelled = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    const content = await contentOf((call) => {
      call.on('cancelled', cancelled.resolve);
      entered.resolve();
    });
    async function* requests() {
      yield { offset: 1n };
      await entered.promise;
      throw new Error('disk is gone');
    }
    const reading = content.write(requests())[Symbol.asyncIterator]().next();
    await expect(reading).rejects.toThrow('disk is gone');
    await cancelled.promise;
  });

  it('sends no faster than the server reads, for as long as it takes', async () => {
    const warnings: Error[] = [];
    const keep = (warning: Error) => warnings.push(warning);
    process.on('warning', keep);
    let received = 0;
    const content = await contentOf(async (call) => {
      for await (const { data } of call) received += (data as Uint8Array).length;
      call.write(create(WriteContentResponseSchema));
      call.end();
    });
    const data = new Uint8Array(512 * 1024);
    let sent = 0;
    let furthestAhead = 0;
    async function* requests() {
      for (; sent < 400 * data.length; sent += data.length) {
        furthestAhead = Math.max(furthestAhead, sent - received);
        yield { data };
      }
    }
    for await (const _ of content.write(requests())) expect(received).toBe(sent);
    process.off('warning', keep);
    expect(furthestAhead).toBeLessThan(64 * 1024 * 1024);
    expect(warnings).toEqual([]);
  });
});
