import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { kindOf, LongshoreError, messageOf, notFound, unavailable } from '@longshore/errors';
import {
  createLogger,
  createMetrics,
  GrpcServer,
  type Handlers,
  listPartHeaders,
  Upstream,
} from '@longshore/kit';
import { digestOf } from '@longshore/oci';
import {
  ContainerSchema,
  Containers,
  ListContainersRequestSchema,
  ListContainersResponseSchema,
} from '@longshore/proto/containerd/services/containers/v1/containers';
import { Content, InfoSchema, WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { Namespaces } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Header } from '@longshore/proto/headers';
import { type Record as NodeRecord, RecordSchema } from '@longshore/proto/longshore/watch/v1/watch';
import { Channel, createClient } from '@longshore/rpc';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { LocalFiles } from '../content/local-files.ts';
import { KEEPERS } from '../records/record-kinds.ts';
import { SmallBlobs } from '../records/small-blobs.ts';
import { emptyCopy, syncedCopy } from '../records/testing/copies.ts';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { blobReads } from './blob-reads.ts';
import { Caller } from './local-read.ts';
import { nodeDoor } from './node-door.ts';
import { recordReads } from './record-reads.ts';

const log = createLogger('agent', 'silent');
const NO_TLS = { tlsCert: '', tlsKey: '', tlsCa: '' };
const options = { headers: { [Header.Namespace]: 'default' } };

function containerRecord(id: string, revision: bigint, labels: { [name: string]: string } = {}): NodeRecord {
  const value = toBinary(ContainerSchema, create(ContainerSchema, { id, labels, image: `image-of-${id}` }));
  return create(RecordSchema, { kind: 'container', namespace: 'default', key: id, revision, value });
}

function contentRecord(digest: string, size: number): NodeRecord {
  const value = toBinary(InfoSchema, create(InfoSchema, { digest, size: BigInt(size) }));
  return create(RecordSchema, { kind: 'content', namespace: 'default', key: digest, revision: 1n, value });
}

/** A door whose control plane is one server with these handlers; `calls` counts what reaches it. */
async function openDoor(
  copy = syncedCopy(),
  control: {
    containers?: Handlers<typeof Containers>;
    content?: Handlers<typeof Content>;
    snapshots?: Handlers<typeof Snapshots>;
  } = {},
  replicas = 1,
) {
  const directory = await scratchDirectory();
  const server = new GrpcServer(log, createMetrics('test'));
  if (control.containers) server.add(Containers, control.containers);
  if (control.content) server.add(Content, control.content);
  if (control.snapshots) server.add(Snapshots, control.snapshots);
  await server.listen(`unix://${join(directory, 'control.sock')}`, NO_TLS);
  // All but the first are away.
  const sockets = Array.from(
    { length: replicas },
    (_, n) => `unix://${join(directory, n ? `${n}` : 'control')}.sock`,
  );
  const upstream = new Upstream(sockets.join());
  const blobs = new SmallBlobs(':memory:');
  const files = new LocalFiles({ locate: async () => '', doubt: async () => undefined }, log);
  const wanted: string[] = [];
  const doubted: string[] = [];
  const caughtUp = Promise.withResolvers<void>();
  const door = nodeDoor({
    nodeId: 'node-1',
    upstreams: { agent: upstream, content: upstream, image: upstream, runtime: upstream },
    own: (path) => server.unaryMethod(path),
    reads: new Map([
      ...recordReads(copy),
      ...blobReads({ copy, blobs, prefetch: { want: (_, digest) => wanted.push(digest) }, files, log }),
    ]),
    lastReads: new Map([
      ...recordReads(copy.lastKnown),
      ...blobReads({ copy: copy.lastKnown, blobs, prefetch: { want: () => undefined }, files, log }),
    ]),
    records: {
      take: (encoded) => copy.apply(encoded.map((bytes) => decodeRecord(bytes))),
      caughtUp: () => caughtUp.promise,
      expectContent: (namespace) => {
        const release = copy.expectNew('content', namespace);
        // Nobody tells this copy what else was made.
        return (isKnown) => (isKnown ? release() : undefined);
      },
      doubtChange: (kind, namespace) => void doubted.push(`${kind} ${namespace}`),
    },
    tasks: (namespace) => (namespace === 'default' ? ['running', 'other'] : []),
    onEvents: () => undefined,
    log,
  });
  const address = await door.listen(`unix://${join(directory, 'door.sock')}`, NO_TLS);
  const channel = new Channel(address);
  onTestFinished(async () => {
    channel.close();
    upstream.close();
    await door.close(0);
    await server.close(0);
    blobs[Symbol.dispose]();
    await files[Symbol.asyncDispose]();
  });
  return { copy, blobs, wanted, doubted, caughtUp, channel, server };
}

const decodeRecord = (bytes: Uint8Array) => fromBinary(RecordSchema, bytes);

describe('reads at the node door', () => {
  it('are answered from the copy, in the words of the service', async () => {
    const { copy, channel } = await openDoor();
    copy.apply([containerRecord('b', 1n, { x: '1' }), containerRecord('a', 2n)]);
    const containers = createClient(Containers, channel);
    expect((await containers.get({ id: 'a' }, options)).container).toMatchObject({ image: 'image-of-a' });
    const ids = async (...filters: string[]) =>
      (await containers.list({ filters }, options)).containers.map(({ id }) => id);
    expect(await ids()).toEqual(['a', 'b']);
    expect(await ids('labels.x==1')).toEqual(['b']);
    expect(await ids('image==image-of-a', 'id~=^b$')).toEqual(['a', 'b']);
    expect(await ids('runtime.name')).toEqual([]);
    const part = { headers: { ...options.headers, ...listPartHeaders({ from: 'aa', limit: 1 }) } };
    expect((await containers.list({}, part)).containers.map(({ id }) => id)).toEqual(['b']);
    expect((await containers.list({ filters: ['labels.x'] }, part)).containers.map(({ id }) => id)).toEqual([
      'b',
    ]);
    const unreadable = { headers: { ...options.headers, [Header.ListLimit]: 'all' } };
    await expect(containers.list({}, unreadable)).rejects.toMatchObject({ kind: 'InvalidArgument' });
    const streamed: unknown[] = [];
    for await (const { container } of containers.listStream({}, options)) streamed.push(container?.id);
    expect(streamed).toEqual(['a', 'b']);

    await expect(containers.get({ id: 'c' }, options)).rejects.toMatchObject({
      kind: 'NotFound',
      message: 'container "c" in namespace "default": not found',
    });
    await expect(containers.get({ id: 'a/b' }, options)).rejects.toMatchObject({ kind: 'NotFound' });
    await expect(containers.get({ id: 'a' })).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: 'namespace is required: failed precondition',
    });
    await expect(containers.list({ filters: ['id==='] }, options)).rejects.toMatchObject({
      kind: 'InvalidArgument',
    });
  });

  it('go to the service until the copy is complete, and for a value that was not told', async () => {
    const copy = emptyCopy();
    const { channel } = await openDoor(copy, {
      containers: { get: async ({ id }) => ({ container: { id, image: 'from the service' } }) },
    });
    const image = async () =>
      (await createClient(Containers, channel).get({ id: 'a' }, options)).container?.image;
    copy.apply([containerRecord('a', 1n)]);
    expect(await image()).toBe('from the service');
    const { round } = copy.beginRound('runtime');
    copy.applyWatched('runtime', round, { records: [], position: '1', reset: false, synced: true });
    expect(await image()).toBe('image-of-a');
    copy.apply([{ ...containerRecord('a', 2n), value: new Uint8Array() }]);
    expect(await image()).toBe('from the service');
  });

  it('let others have their turn while a long list is filtered', async () => {
    const copy = syncedCopy();
    copy.apply(Array.from({ length: 5_000 }, (_, n) => containerRecord(`c${n}`, 1n, { odd: String(n % 2) })));
    let turns = 0;
    let isOver = false;
    const count = () => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    const list = recordReads(copy).get('/containerd.services.containers.v1.Containers/List')!;
    const request = toBinary(
      ListContainersRequestSchema,
      create(ListContainersRequestSchema, { filters: ['labels.odd==1'] }),
    );
    count();
    const outcome = await list(request, new Caller(options.headers));
    isOver = true;
    // One is the count's own call.
    expect(turns).toBeGreaterThan(1);
    const [answer] = outcome as Uint8Array[];
    const { containers } = fromBinary(ListContainersResponseSchema, answer!);
    expect(containers).toHaveLength(2_500);
    expect(new Set(containers.map(({ labels }) => labels.odd))).toEqual(new Set(['1']));
  });

  it('send content in blocks of at most 100', async () => {
    const { copy, channel } = await openDoor();
    copy.apply(Array.from({ length: 250 }, (_, n) => contentRecord(digestOf(String(n)), n)));
    const blocks = await Array.fromAsync(createClient(Content, channel).list({}, options));
    expect(blocks.map(({ info }) => info.length)).toEqual([100, 100, 50]);
  });

  it('name a namespace for every record, and never fail for one without', async () => {
    const { copy, channel } = await openDoor();
    copy.apply([{ ...containerRecord('a', 1n), namespace: 'other' }]);
    const namespaces = createClient(Namespaces, channel);
    expect((await namespaces.list({})).namespaces).toMatchObject([{ name: 'other', labels: {} }]);
    expect((await namespaces.get({ name: 'nowhere' })).namespace).toMatchObject({ name: 'nowhere' });
  });
});

describe('changes through the node door', () => {
  it('are in the copy before their caller hears of them, who sees no records', async () => {
    const { channel } = await openDoor(syncedCopy(), {
      containers: {
        create: async ({ container }, call) => {
          const record = containerRecord(container!.id, 1n);
          call.trailers.add(Header.RecordBin, Buffer.from(toBinary(RecordSchema, record)));
          return { container };
        },
      },
    });
    const containers = createClient(Containers, channel);
    for (let n = 0; n < 20; n++) {
      const id = `c${n}`;
      let seen: unknown[] = ['nothing yet'];
      await containers.create(
        { container: { id } },
        { ...options, onTrailers: (trailers) => (seen = trailers.get(Header.RecordBin)) },
      );
      expect((await containers.get({ id }, options)).container?.id).toBe(id);
      expect(seen).toEqual([]);
    }
  });

  it('end for their caller once the copy has heard of the collection that they waited for', async () => {
    const { channel, caughtUp } = await openDoor(syncedCopy(), {
      containers: {
        delete: async (_, call) => {
          call.trailers.set(Header.Collected, '1');
          return {};
        },
      },
    });
    let ended = false;
    const deleted = createClient(Containers, channel)
      .delete({ id: 'a' }, options)
      .then(() => {
        ended = true;
      });
    await createClient(Containers, channel).list({}, options);
    expect(ended).toBe(false);
    caughtUp.resolve();
    await deleted;
  });
});

describe('the deletion of a container', () => {
  it('tells its owner which tasks run, whatever the caller says', async () => {
    const heard: (string | undefined)[] = [];
    const { channel } = await openDoor(syncedCopy(), {
      containers: {
        delete: async (_, call) => {
          heard.push(call.header(Header.LiveTasks));
          return {};
        },
      },
    });
    const containers = createClient(Containers, channel);
    await containers.delete({ id: 'running' }, options);
    const headers = { [Header.Namespace]: 'empty', [Header.LiveTasks]: 'forged' };
    await containers.delete({ id: 'x' }, { headers });
    expect(heard).toEqual(['running,other', '']);
  });
});

describe("calls of the agent's own services", () => {
  it('are answered where they come in; those of more than 64 KiB take the way over its server', async () => {
    const labelled: number[] = [];
    const { channel, server } = await openDoor(syncedCopy(), {
      snapshots: {
        prepare: async ({ labels }, call) => {
          expect(call.scope).toEqual({ namespace: 'default', node: 'node-1' });
          labelled.push(labels.large?.length ?? 0);
          return {};
        },
      },
    });
    const snapshots = createClient(Snapshots, channel);
    const large = { key: 'b', labels: { large: 'x'.repeat(100_000) } };
    await snapshots.prepare({ key: 'a' }, options);
    await snapshots.prepare(large, options);
    expect(labelled).toEqual([0, 100_000]);
    await server.close(0);
    await snapshots.prepare({ key: 'a' }, options);
    await expect(snapshots.prepare(large, options)).rejects.toMatchObject({ kind: 'Unavailable' });
    expect(labelled).toHaveLength(3);
  });

  it('have what they may have changed doubted when its keeper did not say, before their caller hears of that', async () => {
    const { channel, doubted } = await openDoor(syncedCopy(), {
      snapshots: {
        prepare: () => Promise.reject(unavailable('the catalogue')),
        commit: () => Promise.reject(notFound('snapshot "a"')),
      },
    });
    const snapshots = createClient(Snapshots, channel);
    await expect(snapshots.prepare({ key: 'a' }, options)).rejects.toMatchObject({ kind: 'Unavailable' });
    expect(doubted).toEqual(['snapshot default']);
    await expect(snapshots.commit({ key: 'a' }, options)).rejects.toMatchObject({ kind: 'NotFound' });
    expect(doubted).toHaveLength(1);
  });
});

describe('content that is written through the node door', () => {
  it('is there for its writer when it is told of the commit, while the call goes on', async () => {
    const record = contentRecord(`sha256:${'a'.repeat(64)}`, 5);
    const digest = record.key;
    const { channel } = await openDoor(syncedCopy(), {
      content: {
        info: async () => ({ info: { digest, size: 5n } }),
        write: async function* (requests, call) {
          for await (const { action } of requests) yield { action, digest };
          call.trailers.add(Header.RecordBin, Buffer.from(toBinary(RecordSchema, record)));
        },
      },
    });
    const content = createClient(Content, channel);
    const info = () => content.info({ digest }, options);
    await expect(info()).rejects.toMatchObject({ kind: 'NotFound' });
    const end = Promise.withResolvers<void>();
    const requests = async function* () {
      yield { action: WriteAction.COMMIT };
      await end.promise;
    };
    for await (const { action } of content.write(requests(), options)) {
      expect(action).toBe(WriteAction.COMMIT);
      expect((await info()).info?.digest).toBe(digest);
      end.resolve();
    }
    expect((await info()).info?.size).toBe(5n);
  });
});

describe('content that could not be written for want of a control plane', () => {
  it('leaves the copy to answer what there is, and what there is not', async () => {
    const { copy, channel, server } = await openDoor();
    const record = contentRecord(`sha256:${'a'.repeat(64)}`, 5);
    copy.apply([record]);
    await server.close(0);
    const content = createClient(Content, channel);
    const requests = async function* () {
      yield { action: WriteAction.STAT, ref: 'r' };
    };
    const write = async () => {
      for await (const _ of content.write(requests(), options));
    };
    await expect(write()).rejects.toMatchObject({ kind: 'Unavailable' });
    const listed: unknown[] = [];
    for await (const { info } of content.list({}, options)) listed.push(...info.map(({ digest }) => digest));
    expect(listed).toEqual([record.key]);
    const other = `sha256:${'b'.repeat(64)}`;
    await expect(content.info({ digest: other }, options)).rejects.toMatchObject({ kind: 'NotFound' });
  });
});

describe('reads that their service should answer', () => {
  const ids = async (channel: Channel) =>
    (await createClient(Containers, channel).list({}, options)).containers.map(({ id }) => id);

  it('are answered from what was last known when it is away', async () => {
    const { copy, channel, server } = await openDoor();
    copy.apply([containerRecord('a', 1n), containerRecord('b', 1n), contentRecord('sha256:x', 1)]);
    await server.close(0);
    const containers = createClient(Containers, channel);
    copy.apply([{ ...containerRecord('b', 2n), value: new Uint8Array() }]);
    expect(await ids(channel)).toEqual(['a', 'b']);
    expect((await containers.get({ id: 'b' }, options)).container?.image).toBe('image-of-b');
    copy.doubt('runtime');
    expect(await ids(channel)).toEqual(['a', 'b']);
    await expect(containers.get({ id: 'c' }, options)).rejects.toMatchObject({ kind: 'NotFound' });
    copy.expectNew('content', 'default');
    const listed: unknown[] = [];
    for await (const { info } of createClient(Content, channel).list({}, options)) listed.push(...info);
    expect(listed).toMatchObject([{ digest: 'sha256:x' }]);
  });

  it.each([1, 2])('are answered so too when it dies over them, the last of %i replicas', async (replicas) => {
    const asked = Promise.withResolvers<void>();
    const { copy, channel, server } = await openDoor(
      syncedCopy(),
      {
        containers: {
          list: async () => {
            asked.resolve();
            return new Promise<never>(() => undefined);
          },
        },
      },
      replicas,
    );
    copy.apply([containerRecord('a', 1n), { ...containerRecord('new', 1n), value: new Uint8Array() }]);
    const listed = ids(channel);
    await asked.promise;
    await server.close(0);
    expect(await listed).toEqual(['a']);
    const get = createClient(Containers, channel).get({ id: 'new' }, options);
    await expect(get).rejects.toMatchObject({ kind: 'Unavailable' });
  });

  it.each([
    ['Unavailable', unavailable('database')],
    ['DeadlineExceeded', new LongshoreError('DeadlineExceeded', 'statement')],
  ])('are answered so too when it is there and cannot say: %s', async (_, error) => {
    const fail = async (): Promise<never> => {
      throw error;
    };
    const { copy, channel } = await openDoor(syncedCopy(), {
      containers: { get: fail, list: fail, create: fail },
      content: {
        // It has begun: none of it may be in the answer.
        list: async function* () {
          yield { info: [{ digest: 'sha256:y' }] };
          throw error;
        },
        // biome-ignore lint/correctness/useYield: it fails before it has anything
        read: async function* () {
          throw error;
        },
      },
    });
    copy.apply([containerRecord('a', 1n), contentRecord('sha256:x', 1)]);
    for (const keeper of KEEPERS) copy.doubt(keeper);
    const containers = createClient(Containers, channel);
    expect(await ids(channel)).toEqual(['a']);
    expect((await containers.get({ id: 'a' }, options)).container?.image).toBe('image-of-a');
    await expect(containers.get({ id: 'c' }, options)).rejects.toMatchObject({ kind: 'NotFound' });
    const content = createClient(Content, channel);
    const listed = await Array.fromAsync(content.list({}, options));
    expect(listed.flatMap(({ info }) => info.map(({ digest }) => digest))).toEqual(['sha256:x']);
    // What only the service has, and what changes something, fails as the service says.
    const unread = contentRecord(`sha256:${'a'.repeat(64)}`, 5);
    copy.apply([unread, { ...containerRecord('new', 1n), value: new Uint8Array() }]);
    const failures = [
      () => Array.fromAsync(content.read({ digest: unread.key }, options)),
      () => containers.get({ id: 'new' }, options),
      () => containers.create({ container: { id: 'a' } }, options),
    ];
    for (const fails of failures) {
      await expect(fails()).rejects.toMatchObject({ kind: kindOf(error), message: messageOf(error) });
    }
  });

  it('are answered so too when it has waited for long, e.g. for its database', async () => {
    const asked = Promise.withResolvers<void>();
    const { copy, channel } = await openDoor(syncedCopy(), {
      containers: {
        list: async () => {
          asked.resolve();
          return new Promise<never>(() => undefined);
        },
      },
    });
    copy.apply([containerRecord('a', 1n)]);
    copy.doubt('runtime');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const listed = ids(channel);
    await asked.promise;
    vi.advanceTimersByTime(5_000);
    expect(await listed).toEqual(['a']);
  });

  it('fail when it is away before the copy was ever complete', async () => {
    const { copy, channel, server } = await openDoor(emptyCopy());
    copy.apply([containerRecord('a', 1n)]);
    await server.close(0);
    await expect(ids(channel)).rejects.toMatchObject({ kind: 'Unavailable' });
  });

  it('are those of what a call may have changed whose end was lost, before its caller hears of that', async () => {
    const { channel, server, doubted } = await openDoor(syncedCopy(), {
      containers: {
        create: async () => {
          void server.close(0);
          return new Promise<never>(() => undefined);
        },
      },
    });
    const containers = createClient(Containers, channel);
    const lost = containers.create({ container: { id: 'a' } }, options);
    await expect(lost).rejects.toMatchObject({ kind: 'Unavailable' });
    expect(doubted).toEqual(['container default']);
    const unsent = containers.create({ container: { id: 'a' } }, options);
    await expect(unsent).rejects.toMatchObject({ kind: 'Unavailable' });
    expect(doubted).toHaveLength(1);
  });
});

describe('reads of blobs at the node door', () => {
  const data = Buffer.from('0123456789'.repeat(50));
  const digest = digestOf(data);

  async function reading(served = data) {
    let calls = 0;
    const door = await openDoor(syncedCopy(), {
      content: {
        read: async function* ({ offset, size }) {
          calls += 1;
          if (calls > 1) throw notFound('the service');
          const end = size > 0n ? Number(offset + size) : served.length;
          yield { offset: 0n, data: served.subarray(Number(offset), end) };
        },
      },
    });
    door.copy.apply([contentRecord(digest, data.length)]);
    const content = createClient(Content, door.channel);
    const read = async (offset = 0n, size = 0n) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of content.read({ digest, offset, size }, options)) chunks.push(chunk.data);
      return Buffer.concat(chunks).toString();
    };
    return { ...door, content, read };
  }

  it('go to the service once, with ranges as the service has them', async () => {
    const { read, content } = await reading();
    expect(await read()).toBe(data.toString());
    expect(await read(0n, 500n)).toBe(data.toString());
    expect(await read(495n, 100n)).toBe('56789');
    expect(await read(-5n, 3n)).toBe('012');
    expect(await read(7n, -1n)).toBe(data.subarray(7).toString());
    expect(await read(500n)).toBe('');
    await expect(read(501n)).rejects.toMatchObject({
      kind: 'OutOfRange',
      message: 'read past object length 500 bytes: out of range',
    });
    const elsewhere = { headers: { [Header.Namespace]: 'other' } };
    await expect(content.read({ digest }, elsewhere)[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      kind: 'NotFound',
      message: `content digest ${digest}: not found`,
    });
  });

  it('have a blob fetched of which only a part was read', async () => {
    const { read, wanted, blobs } = await reading();
    expect(await read(3n, 2n)).toBe('34');
    expect(wanted).toEqual([digest]);
    expect(blobs.has(digest)).toBe(false);
  });

  it('keep no bytes that are not those of the digest', async () => {
    const { read, blobs } = await reading(Buffer.from('x'.repeat(500)));
    expect(await read()).toHaveLength(500);
    expect(blobs.has(digest)).toBe(false);
  });
});
