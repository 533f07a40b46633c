import { fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { lockScopeAlone, transaction } from '@longshore/postgres';
import {
  ContainerCreateSchema,
  ContainerDeleteSchema,
  ContainerUpdateSchema,
} from '@longshore/proto/containerd/events/container';
import type {
  Container,
  ContainerSchema,
} from '@longshore/proto/containerd/services/containers/v1/containers';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import type { CallOptions } from '@longshore/rpc';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { refusal } from '../testing/refusal.ts';
import { RuntimeFixture } from '../testing/runtime-fixture.ts';

type Init = Exclude<MessageInitShape<typeof ContainerSchema>, Container>;

let runtime: RuntimeFixture;
let counter = 0;

beforeAll(async () => {
  runtime = await RuntimeFixture.start();
});

afterAll(() => runtime.close());

function inScope(namespace = 'default', node = 'n1'): CallOptions {
  return { headers: { 'containerd-namespace': namespace, 'longshore-node': node } };
}

const any = (typeUrl: string, ...bytes: number[]) => ({ typeUrl, value: Buffer.from(bytes) });

function container(change: Init = {}): Init & { id: string } {
  return {
    id: `c${++counter}`,
    runtime: { name: 'io.containerd.runc.v2', options: any('test.Options', 1, 2) },
    spec: any('types.containerd.io/opencontainers/runtime-spec/1/Spec', 123, 125),
    image: 'docker.io/library/redis:7',
    snapshotter: 'overlayfs',
    snapshotKey: 'key',
    labels: { a: '1' },
    extensions: { 'test.ext': any('test.Extension', 9) },
    ...change,
  } as Init & { id: string };
}

async function create(change: Init = {}, scope = inScope()) {
  const init = container(change);
  await runtime.containers.create({ container: init }, scope);
  return init;
}

async function get(id: string) {
  return (await runtime.containers.get({ id }, inScope())).container!;
}

function update(init: Init, ...paths: string[]) {
  return updateIn(inScope(), init, ...paths);
}

function updateIn(scope: CallOptions, init: Init, ...paths: string[]) {
  return runtime.containers.update({ container: init, updateMask: { paths } }, scope);
}

describe('Containers.Create', () => {
  it('keeps what it is given, byte for byte, and sets the times', async () => {
    const init = container({ createdAt: { seconds: 1n }, sandbox: 's' });
    const { container: created } = await runtime.containers.create({ container: init }, inScope());
    expect(created).toMatchObject({ ...init, createdAt: created!.updatedAt });
    expect(Number(created!.createdAt!.seconds)).toBeGreaterThan(1_700_000_000);
    const stored = await get(init.id);
    expect(stored.spec!.value).toEqual(Buffer.from([123, 125]));
    expect(stored.runtime!.options!.value).toEqual(Buffer.from([1, 2]));
    expect(stored).toEqual(created);
  });

  it('drops labels with an empty value', async () => {
    const { id } = await create({ labels: { a: '1', b: '' } });
    expect((await get(id)).labels).toEqual({ a: '1' });
  });

  it('refuses a name that is taken, in this scope only', async () => {
    const init = await create();
    expect(await refusal(runtime.containers.create({ container: init }, inScope()))).toBe(
      `AlreadyExists: container "${init.id}" in namespace "default": already exists`,
    );
    await runtime.containers.create({ container: init }, inScope('other'));
    await runtime.containers.create({ container: init }, inScope('default', 'n2'));
    expect(await runtime.topics(init.id)).toEqual(Array(3).fill('/containers/create'));
  });

  it.each([
    [{ id: 'a b' }, /^InvalidArgument: identifier "a b" must match/],
    [{ id: '' }, /^InvalidArgument: identifier must not be empty/],
    [{ runtime: {} }, /^InvalidArgument: container\.Runtime\.Name must be set/],
    [{ spec: undefined }, /^InvalidArgument: container\.Spec must be set/],
    [
      { snapshotter: '' },
      /^InvalidArgument: container\.Snapshotter must be set if container\.SnapshotKey is set/,
    ],
    [
      { labels: { k: 'v'.repeat(4096) } },
      /^InvalidArgument: label key and value length \(4097 bytes\) greater than maximum/,
    ],
    [{ labels: { k: 'a\0b' } }, /^InvalidArgument: /],
    [{ labels: { 'longshore.io/remove': 'soon' } }, /^InvalidArgument: .*"after-exit"/],
    [
      { labels: { 'longshore.io/remove': 'after-exit', 'containerd.io/restart.status': 'running' } },
      /^InvalidArgument: .*want one of them/,
    ],
    [{ extensions: { '': any('x') } }, /^InvalidArgument: extension keys must not be zero-length/],
  ])('refuses %j', async (change, message) => {
    const init = container(change as Init);
    expect(await refusal(runtime.containers.create({ container: init }, inScope()))).toMatch(message);
    expect(await runtime.topics(init.id)).toEqual([]);
  });

  it('is refused by a node that goes while the call waits for the scope', async () => {
    const [scope, id] = [{ namespace: 'waited', node: 'goes' }, 'late'];
    await runtime.nodes.register({ node: { id: scope.node, address: 'unix:///a' } });
    let refused: Promise<string> | undefined;
    await transaction(runtime.pool, async (remover) => {
      await lockScopeAlone(remover, scope);
      refused = refusal(
        runtime.containers.create({ container: container({ id }) }, inScope('waited', 'goes')),
      );
      const waiting = `SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
      await vi.waitFor(async () => expect((await runtime.pool.query(waiting)).rows).toHaveLength(1), 10_000);
      await runtime.pool.query(`UPDATE nodes SET state = 'gone' WHERE id = $1`, [scope.node]);
    });
    expect(await refused).toMatch(/^FailedPrecondition: node "goes": was removed/);
    expect(await runtime.topics(id)).toEqual([]);
  });

  it('wants a namespace', async () => {
    expect(await refusal(runtime.containers.create({ container: container() }, {}))).toBe(
      'FailedPrecondition: namespace is required: failed precondition',
    );
    expect(await refusal(runtime.containers.list({}, inScope('a/b')))).toMatch(
      /^InvalidArgument: namespace validation: /,
    );
  });
});

describe('Containers.Get', () => {
  it('does not find what another scope has', async () => {
    const { id } = await create();
    expect(await refusal(runtime.containers.get({ id }, inScope('other')))).toBe(
      `NotFound: container "${id}" in namespace "other": not found`,
    );
    expect(await refusal(runtime.containers.get({ id }, inScope('default', '_')))).toMatch(/^NotFound/);
  });
});

describe('Containers.List', () => {
  const scope = inScope('lists');

  beforeAll(async () => {
    for (const [id, labels, image] of [
      ['b', { 'a.b/c': 'x' }, 'redis'],
      ['B', {}, 'redis'],
      ['a', { tier: 'web' }, 'nginx'],
    ] as const) {
      await runtime.containers.create({ container: container({ id, labels, image }) }, scope);
    }
  });

  async function ids(...filters: string[]): Promise<string[]> {
    const { containers } = await runtime.containers.list({ filters }, scope);
    const streamed: string[] = [];
    for await (const { container } of runtime.containers.listStream({ filters }, scope))
      streamed.push(container!.id);
    expect(streamed).toEqual(containers.map(({ id }) => id));
    return streamed;
  }

  it.each([
    [[], ['B', 'a', 'b']],
    [['id==a'], ['a']],
    [['image==redis,labels."a.b/c"==x'], ['b']],
    [
      ['labels.tier', 'id~=^B$'],
      ['B', 'a'],
    ],
    [['runtime.name==io.containerd.runc.v2'], ['B', 'a', 'b']],
    [['nonsense==1'], []],
  ])('answers %j in byte order, as a stream too', async (filters, expected) => {
    expect(await ids(...filters)).toEqual(expected);
  });

  it('refuses a filter that it cannot read', async () => {
    expect(await refusal(runtime.containers.list({ filters: ['id=='] }, scope))).toMatch(/^InvalidArgument/);
  });
});

describe('Containers.Update', () => {
  it('changes what the mask names, and nothing else', async () => {
    const { id } = await create({ labels: { a: '1', b: '2', 'x.y': '3' } });
    await update(
      { id, labels: { a: '9', 'x.y': '4', c: '5' }, image: 'no', extensions: { new: any('n') } },
      'labels.x.y',
      'labels.b',
      'extensions.new',
    );
    const updated = await get(id);
    expect(updated.labels).toEqual({ a: '1', 'x.y': '4' });
    expect(Object.keys(updated.extensions).sort()).toEqual(['new', 'test.ext']);
    expect(updated.image).toBe('docker.io/library/redis:7');
    await update(
      { id, image: 'other', snapshotKey: 'k2', spec: any('s', 7) },
      'image',
      'snapshotkey',
      'spec',
    );
    expect(await get(id)).toMatchObject({ image: 'other', snapshotKey: 'k2', spec: { typeUrl: 's' } });
    expect((await get(id)).updatedAt).not.toEqual((await get(id)).createdAt);
  });

  it('replaces everything that may change when there is no mask', async () => {
    const init = await create();
    const { container: updated } = await update({
      ...init,
      labels: { z: '1' },
      extensions: {},
      image: 'new',
    });
    expect(updated).toMatchObject({ labels: { z: '1' }, extensions: {}, image: 'new' });
  });

  it('keeps the fixed fields', async () => {
    const init = await create();
    expect(await refusal(update({ ...init, snapshotter: 'native' }))).toBe(
      'InvalidArgument: container.Snapshotter field is immutable: invalid argument',
    );
    expect(await refusal(update({ ...init, runtime: { name: 'other' } }))).toBe(
      'InvalidArgument: container.Runtime.Name field is immutable: invalid argument',
    );
    expect(await refusal(update(init, 'snapshotter'))).toBe(
      `InvalidArgument: cannot update "snapshotter" field on container "${init.id}": invalid argument`,
    );
    expect(await refusal(update({ id: init.id }, 'spec'))).toMatch(/container\.Spec must be set/);
    expect(await runtime.topics(init.id)).toEqual(['/containers/create']);
  });

  it('does not find what is not there', async () => {
    expect(await refusal(update(container({ id: 'gone' })))).toMatch(/^NotFound: container "gone"/);
  });
});

describe('Containers.Delete', () => {
  it('removes it once, and asks for a collection', async () => {
    const scope = inScope('deletes');
    const { id } = await create({}, scope);
    await runtime.containers.delete({ id }, scope);
    expect(await refusal(runtime.containers.delete({ id }, scope))).toBe(
      `NotFound: container "${id}" in namespace "deletes": not found`,
    );
    await vi.waitFor(() => expect(runtime.content.collections).toContain('deletes n1'), 10_000);
    expect(await runtime.topics(id)).toEqual(['/containers/create', '/containers/delete']);
  });
});

describe('an update that drops a reference', () => {
  it('asks for a collection, others do not', async () => {
    const label = 'containerd.io/gc.ref.content.x';
    const scopes = ['notes', 'references', 'keys'].map((namespace) => inScope(namespace));
    const init = { id: 'refers', labels: { [label]: 'sha256:1' } };
    for (const scope of scopes) await create(init, scope);
    const [notes, references, keys] = scopes as [CallOptions, CallOptions, CallOptions];
    await updateIn(notes, { id: 'refers', labels: { note: 'n' } }, 'labels.note');
    await updateIn(references, { id: 'refers', labels: {} }, `labels.${label}`);
    await updateIn(keys, { id: 'refers', snapshotKey: 'other' }, 'snapshotkey');
    const asked = () =>
      runtime.content.collections.filter((scope) => /^(notes|references|keys) /.test(scope));
    await vi.waitFor(() => expect(asked()).toEqual(['references n1', 'keys n1']), 10_000);
  });
});

describe('events of containers', () => {
  it('are recorded, and sent back in the trailers, with what containerd says in them', async () => {
    const { headers } = inScope();
    const sent: [string, unknown][] = [];
    const schemas = {
      create: ContainerCreateSchema,
      update: ContainerUpdateSchema,
      delete: ContainerDeleteSchema,
    };
    const options: CallOptions = {
      headers,
      onTrailers: (trailers) => {
        for (const bytes of trailers.get('longshore-event-bin')) {
          const { topic, event, namespace } = fromBinary(EnvelopeSchema, bytes as Buffer);
          expect(namespace).toBe('default');
          const schema = schemas[topic.slice('/containers/'.length) as keyof typeof schemas];
          expect(event!.typeUrl).toBe(schema.typeName);
          sent.push([topic, fromBinary(schema, event!.value)]);
        }
      },
    };
    const init = container({ runtime: { name: 'r', options: any('o', 1) } });
    await runtime.containers.create({ container: init }, options);
    await runtime.containers.update({ container: { ...init, image: 'i2' } }, options);
    await runtime.containers.delete({ id: init.id }, options);
    expect(sent).toMatchObject([
      [
        '/containers/create',
        { id: init.id, image: init.image, runtime: { name: 'r', options: { typeUrl: 'o' } } },
      ],
      ['/containers/update', { id: init.id, image: 'i2', labels: { a: '1' }, snapshotKey: 'key' }],
      ['/containers/delete', { id: init.id }],
    ]);
    const { rows } = await runtime.pool.query(
      'SELECT topic, namespace, node, type_url, revision FROM outbox WHERE subject = $1 ORDER BY seq',
      [init.id],
    );
    expect(rows).toMatchObject([
      {
        topic: '/containers/create',
        namespace: 'default',
        node: 'n1',
        type_url: 'containerd.events.ContainerCreate',
      },
      { topic: '/containers/update', type_url: 'containerd.events.ContainerUpdate' },
      { topic: '/containers/delete', type_url: 'containerd.events.ContainerDelete' },
    ]);
    expect(rows[2].revision > rows[1].revision && rows[1].revision > rows[0].revision).toBe(true);
  });

  it('are as many as the changes, and their revisions never go back for a name, whoever races', async () => {
    const init = container({ id: 'raced' });
    let changes = 0;
    const count = (call: Promise<unknown>) =>
      call.then(
        () => changes++,
        (error) => expect(error.kind).toMatch(/^(AlreadyExists|NotFound)$/),
      );
    const worker = async (seed: number) => {
      for (let round = 0; round < 12; round++) {
        const kind = (seed + round) % 3;
        if (kind === 0) await count(runtime.containers.create({ container: init }, inScope()));
        else if (kind === 1) await count(update({ ...init, image: `i${round}` }, 'image'));
        else await count(runtime.containers.delete({ id: init.id }, inScope()));
      }
    };
    await Promise.all([0, 1, 2, 3, 4, 5].map(worker));
    const { rows } = await runtime.pool.query('SELECT revision FROM outbox WHERE subject = $1 ORDER BY seq', [
      init.id,
    ]);
    const revisions = rows.map(({ revision }) => revision as bigint);
    expect(revisions).toHaveLength(changes);
    expect(changes).toBeGreaterThan(10);
    expect(revisions).toEqual([...revisions].sort((a, b) => Number(a - b)));
    expect(new Set(revisions).size).toBe(revisions.length);
  });
});
