import { Streaming } from '@longshore/proto/containerd/services/streaming/v1/streaming';
import { Transfer } from '@longshore/proto/containerd/services/transfer/v1/transfer';
import { createClient } from '@longshore/rpc';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Caller, digest, imageInit } from '../testing/caller.ts';
import { ImageFixture } from '../testing/image-fixture.ts';
import { refusal } from '../testing/refusal.ts';

let service: ImageFixture;
let caller: Caller;

beforeAll(async () => {
  service = await ImageFixture.start();
});

beforeEach(() => {
  caller = new Caller(service);
});

afterAll(() => service.close());

describe('Images.Create', () => {
  it('keeps what it is given and sets the times', async () => {
    const created = await caller.create('docker.io/library/redis:7', { createdAt: { seconds: 1n } });
    expect(created).toMatchObject(imageInit('docker.io/library/redis:7'));
    expect(created.createdAt).toEqual(created.updatedAt);
    expect(Number(created.createdAt!.seconds)).toBeGreaterThan(1_700_000_000);
    expect(await caller.get(created.name)).toEqual(created);
  });

  it('takes any name but the empty one', async () => {
    for (const name of [' ', 'a b\n', '../../x', 'ü'.repeat(200)])
      expect((await caller.create(name)).name).toBe(name);
    expect(await refusal(caller.create(''))).toBe('InvalidArgument: Image.Name required: invalid argument');
    expect(await refusal(caller.create('a\0b'))).toMatch(/^InvalidArgument/);
    expect(await refusal(service.images.create({}, caller.options))).toMatch(
      /^InvalidArgument: Image.Name required/,
    );
  });

  it('refuses a name that is taken, in this scope only', async () => {
    await caller.create('a');
    expect(await refusal(caller.create('a'))).toBe('AlreadyExists: image "a": already exists');
    await new Caller(service).create('a');
  });

  it('refuses a target that is not whole', async () => {
    expect(await refusal(service.images.create({ image: { name: 'a' } }, caller.options))).toMatch(
      /^InvalidArgument: Target.Digest "" invalid: /,
    );
    expect(await refusal(caller.create('a', { target: { digest: digest('a'), mediaType: 'm' } }))).toBe(
      'InvalidArgument: Target.Size must be greater than zero: invalid argument',
    );
  });

  it('records the time of a reproducible build instead of now', async () => {
    const sourceDateEpoch = { seconds: 86_400n, nanos: 0 };
    const request = { image: imageInit('a'), sourceDateEpoch };
    const { image } = await service.images.create(request, caller.options);
    expect(image).toMatchObject({ createdAt: sourceDateEpoch, updatedAt: sourceDateEpoch });
    const later = { seconds: 172_800n, nanos: 0 };
    const { image: updated } = await service.images.update(
      { image: imageInit('a'), sourceDateEpoch: later },
      caller.options,
    );
    expect(updated).toMatchObject({ createdAt: sourceDateEpoch, updatedAt: later });
    const never = { image: imageInit('b'), sourceDateEpoch: { seconds: 2n ** 60n } };
    expect(await refusal(service.images.create(never, caller.options))).toMatch(
      /^InvalidArgument: source_date_epoch/,
    );
  });

  it('wants a namespace', async () => {
    expect(await refusal(service.images.create({ image: imageInit('a') }))).toMatch(
      /^FailedPrecondition: namespace is required/,
    );
  });
});

describe('Images.Get', () => {
  it('does not find what is not there, nor what another scope has', async () => {
    await new Caller(service).create('a');
    expect(await refusal(caller.get('a'))).toBe('NotFound: image "a": not found');
  });
});

describe('Images.List', () => {
  it.each([
    [[], ['B', 'a', 'b']],
    [['name==a'], ['a']],
    [
      ['name~=^[ab]$', 'name==B'],
      ['B', 'a', 'b'],
    ],
    [[`target.digest==${digest('b')}`], ['b']],
    [['target.mediatype~=index'], ['B']],
    [['target.mediatype==index'], ['B']],
    [['labels."x.y/z"==1,name==b'], ['b']],
    [['annotations.made'], ['B', 'a']],
    [['unknown==1'], []],
  ])('answers %j in byte order', async (filters, expected) => {
    await caller.create('b', {
      labels: { 'x.y/z': '1' },
      target: { mediaType: 'm', digest: digest('b'), size: 1n },
    });
    await caller.create('B', {
      target: { mediaType: 'index', digest: digest('c'), size: 1n, annotations: { made: 'x' } },
    });
    await caller.create('a');
    expect(await caller.names(...filters)).toEqual(expected);
  });

  it('refuses a filter that it cannot read', async () => {
    expect(await refusal(caller.names('name=='))).toMatch(/^InvalidArgument/);
  });
});

describe('Images.Update', () => {
  it('replaces the whole record without a mask, and keeps when it was created', async () => {
    const created = await caller.create('a');
    const target = { mediaType: 'm', digest: digest('b'), size: 9n };
    const updated = await caller.update({ name: 'a', labels: { z: '1' }, target });
    expect(updated).toMatchObject({ labels: { z: '1' }, target: { ...target, annotations: {} } });
    expect(updated.createdAt).toEqual(created.createdAt);
    expect(await caller.get('a')).toEqual(updated);
  });

  it('changes what the mask names', async () => {
    await caller.create('a', { labels: { keep: '1', 'x.y': '2' } });
    const updated = await caller.update(
      { name: 'a', labels: { 'x.y': '3', no: '4' } },
      'labels.x.y',
      'annotations.made',
    );
    expect(updated.labels).toEqual({ keep: '1', 'x.y': '3' });
    expect(updated.target).toMatchObject({ digest: digest('a'), annotations: {} });
  });

  it('refuses other fields, no name, and what is not there', async () => {
    await caller.create('a');
    expect(await refusal(caller.update({ name: 'a' }, 'name'))).toBe(
      'InvalidArgument: cannot update "name" field on image "a": invalid argument',
    );
    expect(await refusal(caller.update({}, 'labels'))).toMatch(/^InvalidArgument: Image.Name required/);
    expect(await refusal(caller.update({ name: 'b' }, 'labels'))).toBe('NotFound: image "b": not found');
  });
});

describe('Images.Delete', () => {
  it('removes it once', async () => {
    await caller.create('a');
    await caller.delete('a');
    expect(await refusal(caller.delete('a'))).toBe('NotFound: image "a": not found');
    expect(await caller.names()).toEqual([]);
  });

  it('does not find it while it stands for another target', async () => {
    await caller.create('a');
    expect(await refusal(caller.delete('a', { target: { digest: digest('b') } }))).toBe(
      `NotFound: image "a" has target ${digest('a')}, not ${digest('b')}: not found`,
    );
    await caller.delete('a', { target: { digest: digest('a') } });
    expect(await caller.names()).toEqual([]);
  });
});

describe('events of images', () => {
  it('are recorded and sent back, in order', async () => {
    const name = `events of ${caller.namespace}`;
    await caller.create(name);
    await caller.update({ name, labels: { b: '2' } }, 'labels');
    await caller.delete(name);
    expect(caller.events).toEqual([
      ['/images/create', { name, labels: { a: '1' } }],
      ['/images/update', { name, labels: { b: '2' } }],
      ['/images/delete', { name }],
    ]);
    const { rows } = await service.pool.query(
      'SELECT topic, namespace, node, type_url, revision FROM outbox WHERE subject = $1 ORDER BY seq',
      [name],
    );
    const scope = { namespace: caller.namespace, node: caller.node };
    expect(rows).toMatchObject([
      { topic: '/images/create', type_url: 'containerd.services.images.v1.ImageCreate', ...scope },
      { topic: '/images/update', type_url: 'containerd.services.images.v1.ImageUpdate', ...scope },
      { topic: '/images/delete', type_url: 'containerd.services.images.v1.ImageDelete', ...scope },
    ]);
    expect(rows[0].revision < rows[1].revision && rows[1].revision < rows[2].revision).toBe(true);
  });

  it('are as many as the changes, and their revisions never go back for a name, whoever races', async () => {
    let changes = 0;
    const count = (call: Promise<unknown>) =>
      call.then(
        () => changes++,
        (error) => expect(error.kind).toMatch(/^(AlreadyExists|NotFound)$/),
      );
    const worker = async (seed: number) => {
      for (let round = 0; round < 12; round++) {
        const kind = (seed + round) % 3;
        if (kind === 0) await count(caller.create('raced'));
        else if (kind === 1) await count(caller.update({ name: 'raced', labels: {} }, 'labels'));
        else await count(caller.delete('raced'));
      }
    };
    await Promise.all([0, 1, 2, 3, 4, 5].map(worker));
    const { rows } = await service.pool.query(
      `SELECT revision FROM outbox WHERE subject = 'raced' ORDER BY seq`,
    );
    const revisions = rows.map(({ revision }) => revision as bigint);
    expect(revisions).toHaveLength(changes);
    expect(changes).toBeGreaterThan(10);
    expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => Number(a - b)));
  });
});

describe('what nothing serves yet', () => {
  it('answers Unimplemented', async () => {
    const transfer = createClient(Transfer, service.channel);
    expect(await refusal(transfer.transfer({}, caller.options))).toMatch(/^Unimplemented/);
    const stream = createClient(Streaming, service.channel).stream((async function* () {})(), caller.options);
    expect(await refusal(stream[Symbol.asyncIterator]().next())).toMatch(/^Unimplemented/);
  });
});
