import { create, toBinary } from '@bufbuild/protobuf';
import { unavailable } from '@longshore/errors';
import { ImageDeleteSchema } from '@longshore/proto/containerd/services/images/v1/events';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Caller, digest } from '../testing/caller.ts';
import { ImageFixture } from '../testing/image-fixture.ts';
import { refusal } from '../testing/refusal.ts';

const EXPIRE = 'containerd.io/gc.expire';
const SOON = { [EXPIRE]: '2099-01-01T00:00:00Z' };

let service: ImageFixture;
let caller: Caller;

beforeAll(async () => {
  service = await ImageFixture.start();
});

beforeEach(() => {
  caller = new Caller(service);
  service.content.collections.length = 0;
  service.content.onAdd = undefined;
  service.content.onCollect = undefined;
});

afterAll(() => service.close());

function asked(): string[] {
  return service.content.collections.filter((scope) => scope.startsWith(`${caller.namespace} `));
}

describe('the lease of a caller', () => {
  it('takes an image that expires, before the image is there', async () => {
    caller.lease = `l-${caller.namespace}`;
    service.content.leases.set(caller.lease, new Set());
    service.content.onAdd = async () => expect(await caller.names()).toEqual([]);
    await caller.create('a', { labels: SOON });
    expect([...service.content.leases.get(caller.lease)!]).toEqual(['images a']);
    await caller.delete('a');
    expect([...service.content.leases.get(caller.lease)!]).toEqual([]);
  });

  it('takes one that an update lets expire, and none that does not', async () => {
    caller.lease = `l-${caller.namespace}`;
    const resources = new Set<string>();
    service.content.leases.set(caller.lease, resources);
    await caller.create('a');
    await caller.update({ name: 'a', labels: { b: '2' } }, 'labels.b');
    expect([...resources]).toEqual([]);
    await caller.update({ name: 'a', labels: SOON }, `labels.${EXPIRE}`);
    expect([...resources]).toEqual(['images a']);
  });

  it('must exist for an image that expires, and nothing is written without it', async () => {
    caller.lease = 'gone';
    expect(await refusal(caller.create('a', { labels: SOON }))).toBe(
      'NotFound: lease does not exist: not found',
    );
    expect(await caller.names()).toEqual([]);
    await caller.create('a');
    expect(await refusal(caller.update({ name: 'a', labels: SOON }, 'labels'))).toMatch(
      /^NotFound: lease does not exist/,
    );
    expect((await caller.get('a')).labels).toEqual({ a: '1' });
    await caller.delete('a');
  });
});

describe('a collection', () => {
  it('is asked for after a delete and a change of target, not after others', async () => {
    // A scope of its own for each: what is asked for in one scope soon after is asked for later, once.
    const [labelled, retargeted, deleted] = [caller, new Caller(service), new Caller(service)];
    for (const each of [labelled, retargeted, deleted]) await each.create('a');
    await labelled.update({ name: 'a', labels: { b: '2' } }, 'labels');
    const target = { mediaType: 'm', digest: digest('b'), size: 1n };
    await retargeted.update({ name: 'a', target }, 'target');
    await deleted.delete('a');
    const scopes = [retargeted, deleted].map(({ namespace, node }) => `${namespace} ${node}`);
    await vi.waitFor(() => expect(service.content.collections).toEqual(scopes), 10_000);
  });

  it('is waited for by a delete with `sync`, whose trailers tell of what it removed too', async () => {
    await caller.create('a');
    caller.events.length = 0;
    const payload = toBinary(ImageDeleteSchema, create(ImageDeleteSchema, { name: 'b' }));
    let isCollected = false;
    service.content.onCollect = async (call) => {
      expect(await caller.names()).toEqual([]);
      call.reportEvent({
        namespace: call.namespace,
        topic: '/images/delete',
        typeUrl: ImageDeleteSchema.typeName,
        payload,
      });
      isCollected = true;
    };
    await caller.delete('a', { sync: true });
    expect(isCollected).toBe(true);
    expect(asked()).toEqual([`${caller.namespace} ${caller.node} wait`]);
    expect(caller.events).toEqual([
      ['/images/delete', { name: 'a' }],
      ['/images/delete', { name: 'b' }],
    ]);
  });

  it('that fails fails a delete with `sync`, though the image is gone', async () => {
    await caller.create('a');
    service.content.onCollect = () => Promise.reject(unavailable('schema "snapshot" has no contract'));
    expect(await refusal(caller.delete('a', { sync: true }))).toMatch(/^Unavailable: schema "snapshot"/);
    expect(await caller.names()).toEqual([]);
  });
});

describe('the collection contract', () => {
  async function rows(sql: string, ...values: unknown[]) {
    const result = await service.pool.query(sql, [caller.namespace, ...values]);
    return result.rows;
  }

  it('shows images, which of them are roots, and what they refer to', async () => {
    await caller.create('stays', { labels: { [EXPIRE]: 'never' } });
    await caller.create('will go', { labels: SOON });
    await caller.create('may go', { labels: { [EXPIRE]: '2000-01-01T00:00:00+01:00' } });
    const all = ['may go', 'stays', 'will go'];
    const objects = await rows('SELECT * FROM gc_objects WHERE namespace = $1 ORDER BY key');
    expect(objects.map(({ key }) => key)).toEqual(all);
    expect(objects[0]).toMatchObject({
      kind: 'image',
      node: caller.node,
      collectable: true,
      labels: expect.anything(),
    });
    const roots = await rows('SELECT key, flat FROM gc_roots WHERE namespace = $1 ORDER BY key');
    expect(roots).toEqual([
      { key: 'stays', flat: false },
      { key: 'will go', flat: false },
    ]);
    const references = await rows('SELECT * FROM gc_references WHERE namespace = $1 ORDER BY from_key');
    expect(references.map(({ from_key }) => from_key)).toEqual(all);
    expect(references[0]).toMatchObject({ from_kind: 'image', to_kind: 'content', to_key: digest('a') });
    expect((await service.pool.query('SELECT gc_version() AS version')).rows).toEqual([{ version: 1 }]);
  });

  it('deletes the records whose uid matches, with the event that a delete would cause', async () => {
    const long = 'ü'.repeat(100);
    await caller.create(long);
    await caller.create('recreated');
    await caller.create('kept');
    const objects = await rows(
      `SELECT kind, key, uid FROM gc_objects WHERE namespace = $1 AND key <> 'kept'`,
    );
    await caller.delete('recreated');
    await caller.create('recreated');
    const column = (name: string) => objects.map((row) => row[name]);
    const deleted = await rows(
      'SELECT * FROM gc_delete($1, $2, $3, $4, $5)',
      caller.node,
      column('kind'),
      column('key'),
      column('uid'),
    );
    const payload = Buffer.from(toBinary(ImageDeleteSchema, create(ImageDeleteSchema, { name: long })));
    expect(deleted).toEqual([
      { kind: 'image', key: long, topic: '/images/delete', type_url: ImageDeleteSchema.typeName, payload },
    ]);
    expect(await caller.names()).toEqual(['kept', 'recreated']);
    const told = await rows(
      `SELECT topic, payload, revision FROM outbox WHERE namespace = $1 AND subject = $2 ORDER BY seq`,
      long,
    );
    expect(told.map(({ topic }) => topic)).toEqual(['/images/create', '/images/delete']);
    expect(told[1].payload).toEqual(payload);
    expect(told[1].revision > told[0].revision).toBe(true);
  });

  it('tells by `changed` what was changed after a mark', async () => {
    await caller.create('a');
    await caller.create('b');
    const mark = (await service.pool.query('SELECT pg_current_snapshot()::text AS mark')).rows[0].mark;
    const changed = () =>
      rows(
        'SELECT key FROM gc_objects WHERE namespace = $1 AND NOT pg_visible_in_snapshot(changed, $2::pg_snapshot)',
        mark,
      );
    expect(await changed()).toEqual([]);
    await caller.update({ name: 'a', labels: {} }, 'labels');
    expect(await changed()).toEqual([{ key: 'a' }]);
  });

  it('keeps a writer waiting while its scope is collected', async () => {
    await caller.create('a');
    const collector = await service.pool.connect();
    await collector.query('BEGIN');
    await collector.query(
      `SELECT pg_advisory_xact_lock(hashtextextended('gc' || chr(1) || $1 || chr(1) || $2, 0))`,
      [caller.namespace, caller.node],
    );
    const done: string[] = [];
    const writing = caller.update({ name: 'a', labels: {} }, 'labels').then(() => done.push('update'));
    await new Caller(service).create('a');
    expect(done).toEqual([]);
    await collector.query('COMMIT');
    collector.release();
    await writing;
  });
});
