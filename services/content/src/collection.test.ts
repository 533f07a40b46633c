import { fromBinary } from '@bufbuild/protobuf';
import { digestOf } from '@longshore/oci';
import { lockScope, openPool, transaction } from '@longshore/postgres';
import { ImageDeleteSchema } from '@longshore/proto/containerd/services/images/v1/events';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { CollectionRescue } from './domain/collection-rescue.ts';
import { Collector } from './domain/collector.ts';
import { PostgresCollectionMemory } from './storage/postgres/collection-memory.ts';
import { CollectionRepository } from './storage/postgres/collection-repository.ts';
import { CollectionViews } from './storage/postgres/collection-views.ts';
import { CollectionScene, SCHEMAS } from './testing/collection-scene.ts';
import { ContentFixture } from './testing/content-fixture.ts';

const PAST = '2001-01-01T00:00:00Z';
const FUTURE = '2999-01-01T00:00:00Z';

let fixture: ContentFixture;

beforeAll(async () => {
  fixture = await ContentFixture.start();
});

afterAll(() => fixture.close());

class Scene extends CollectionScene {
  constructor(node?: string) {
    super(fixture, node);
  }
}

const digests = (...texts: string[]) => texts.map((text) => `content ${digestOf(text)}`);

describe('a collection', () => {
  it('keeps what images lead to by labels, and removes the rest', async () => {
    const scene = new Scene();
    const [layer, config] = [await scene.content('layer'), await scene.content('config')];
    const manifest = await scene.content('manifest', {
      'containerd.io/gc.ref.content.config': config,
      'containerd.io/gc.ref.content.l.0': layer,
      'containerd.io/gc.ref.contents': await scene.content('not a reference'),
    });
    await scene.content('garbage', { 'containerd.io/gc.ref.content': await scene.content('garbage too') });
    await scene.image('img', manifest);
    expect(await scene.collect()).toEqual([...digests('layer', 'config', 'manifest'), 'image img'].sort());
  });

  it('keeps the snapshots of containers, images and content, with all their parents', async () => {
    const scene = new Scene();
    await scene.snapshot('base');
    await scene.snapshot('middle', 'base');
    await scene.snapshot('rw', 'middle');
    await scene.snapshot('unpacked', 'base');
    await scene.snapshot('by-container-label');
    await scene.snapshot('elsewhere');
    await scene.snapshot('orphan', 'middle');
    await scene.snapshot('active');
    await scene.container('c', 'rw', {
      'containerd.io/gc.ref.snapshot.overlayfs/extra': 'by-container-label',
    });
    await scene.image(
      'img',
      await scene.content('config', { 'containerd.io/gc.ref.snapshot.overlayfs': 'unpacked' }),
      {
        labels: { 'containerd.io/gc.ref.snapshot.native': 'elsewhere' },
      },
    );
    expect(await scene.collect()).toEqual(
      [
        ...digests('config'),
        'container c',
        'image img',
        ...['base', 'middle', 'rw', 'unpacked', 'by-container-label'].map(
          (name) => `snapshot overlayfs/${name}`,
        ),
      ].sort(),
    );
  });

  it('follows labels of every form, also from sandboxes, snapshots and containers', async () => {
    const scene = new Scene();
    const ref = (form: string, to: string) => ({ [`containerd.io/gc.ref.${form}`]: to });
    await scene.image('expired', await scene.content('target'), { expiresAt: PAST });
    await scene.image('expired too', '', { expiresAt: PAST });
    await scene.snapshot('s', undefined, ref('content/x', await scene.content('by snapshot')));
    await scene.sandbox('pod', { ...ref('image.x', 'expired'), ...ref('snapshot.overlayfs', 's') });
    await scene.container('c', undefined, ref('image', 'expired too'));
    expect(await scene.collect()).toEqual(
      [
        ...digests('target', 'by snapshot'),
        'container c',
        'image expired',
        'image expired too',
        'sandbox pod',
        'snapshot overlayfs/s',
      ].sort(),
    );
  });

  it('follows references back from child to parent', async () => {
    const scene = new Scene();
    await scene.container('c');
    await scene.image('img', '');
    await scene.snapshot('s', undefined, { 'containerd.io/gc.bref.container': 'c' });
    await scene.content('by image', { 'containerd.io/gc.bref.image.x': 'img' });
    await scene.content('by snapshot', { 'containerd.io/gc.bref.snapshot.overlayfs/x': 's' });
    await scene.content('by content', { 'containerd.io/gc.bref.content': digestOf('by snapshot') });
    await scene.content('by nobody', { 'containerd.io/gc.bref.container': 'no such' });
    expect(await scene.collect()).toEqual(
      [
        ...digests('by image', 'by snapshot', 'by content'),
        'container c',
        'image img',
        'snapshot overlayfs/s',
      ].sort(),
    );
  });

  it('keeps snapshots while the condition of a reference holds', async () => {
    const scene = new Scene();
    const used = (at: string) => ({ 'containerd.io/gc.cond.value-usedat': at });
    await scene.snapshot('parent');
    await scene.snapshot('recent', 'parent', used(new Date(Date.now() - 60_000).toISOString()));
    await scene.snapshot('old', undefined, used(PAST));
    await scene.snapshot('never');
    await scene.snapshot('unreadable', undefined, used('yesterday'));
    await scene.snapshot('twice', undefined, {
      ...used(PAST),
      'containerd.io/gc.cond.value-usedat.b': new Date().toISOString(),
    });
    const conditions: Record<string, string> = {
      recent: 'usedat<1h30m',
      old: 'usedat<24h',
      never: 'usedat<24h,usedat>1ms',
      unreadable: 'usedat<24h',
      twice: 'other=1,usedat<1h',
    };
    const label = (name: string) => `containerd.io/gc.cond.snapshot.overlayfs/${name}`;
    const labels = Object.entries(conditions).map(([name, condition]) => [
      label(name),
      `${condition}|${name}`,
    ]);
    await scene.image('img', await scene.content('target', Object.fromEntries(labels)));
    // Only content and images refer so, and only what is kept itself.
    await scene.container('c', undefined, { [label('old')]: 'usedat>1h|old' });
    await scene.content('garbage', { [label('old')]: 'usedat>1h|old' });
    const kept = ['parent', 'recent', 'twice'].map((name) => `snapshot overlayfs/${name}`);
    expect(await scene.collect()).toEqual([...digests('target'), 'container c', 'image img', ...kept].sort());
  });

  it('keeps what is labelled as a root, and circles only with one', async () => {
    const scene = new Scene();
    const circle = (to: string) => ({ 'containerd.io/gc.ref.content': digestOf(to) });
    await scene.content('root', { 'containerd.io/gc.root': 'any', ...circle('kept') });
    await scene.content('kept', circle('root'));
    await scene.content('x', circle('y'));
    await scene.content('y', circle('x'));
    await scene.snapshot('s', undefined, { 'containerd.io/gc.root.because': '1' });
    expect(await scene.collect()).toEqual([...digests('root', 'kept'), 'snapshot overlayfs/s'].sort());
  });

  it('keeps the resources of leases and what they lead to, until the lease expires or goes', async () => {
    const scene = new Scene();
    await scene.snapshot('parent');
    await scene.snapshot('leased', 'parent');
    const child = await scene.content('child');
    const digest = await scene.content('parent', { 'containerd.io/gc.ref.content': child });
    await scene.lease(
      'l',
      { 'containerd.io/gc.expire': FUTURE },
      ['content', digest],
      ['snapshots/overlayfs', 'leased'],
    );
    await scene.lease('unreadable', { 'containerd.io/gc.expire': 'some day' });
    await scene.lease('expired', { 'containerd.io/gc.expire': PAST }, [
      'content',
      await scene.content('late'),
    ]);
    const kept = [
      ...digests('child', 'parent'),
      'snapshot overlayfs/leased',
      'snapshot overlayfs/parent',
      'lease l',
    ];
    expect(await scene.collect()).toEqual([...kept, 'lease unreadable'].sort());
    await fixture.leases.delete({ id: 'l', sync: true }, scene.caller);
    expect(await scene.left()).toEqual(['lease unreadable']);
  });

  it('spreads from a flat lease by fields only', async () => {
    const scene = new Scene();
    await scene.snapshot('parent', undefined, {
      'containerd.io/gc.ref.content': await scene.content('by label'),
    });
    await scene.snapshot('s', 'parent');
    const config = await scene.content('config');
    const target = await scene.content('target', { 'containerd.io/gc.ref.content.config': config });
    await scene.image('img', target, { expiresAt: PAST, labels: { 'containerd.io/gc.ref.content': config } });
    await scene.lease(
      'flat',
      { 'containerd.io/gc.flat': 'x' },
      ['snapshots/overlayfs', 's'],
      ['images', 'img'],
    );
    expect(await scene.collect()).toEqual(
      [
        ...digests('target'),
        'image img',
        'lease flat',
        'snapshot overlayfs/parent',
        'snapshot overlayfs/s',
      ].sort(),
    );
  });

  it('removes expired images, and tells of it in their outbox and in a trailer', async () => {
    const scene = new Scene('n1');
    await scene.image('expired', await scene.content('x'), { expiresAt: PAST });
    await scene.image('fresh', await scene.content('y'), { expiresAt: FUTURE });
    await fixture.leases.create({ id: 'idiom' }, scene.caller);
    let told: Buffer[] = [];
    const onTrailers = (trailers: { get(name: string): (string | Buffer)[] }) => {
      told = trailers.get('longshore-event-bin') as Buffer[];
    };
    await fixture.leases.delete({ id: 'idiom', sync: true }, { ...scene.caller, onTrailers });
    expect(await scene.left()).toEqual([...digests('y'), 'image fresh'].sort());
    await vi.waitFor(() => expect(told).toHaveLength(1));
    const envelope = fromBinary(EnvelopeSchema, told[0]!);
    expect(envelope).toMatchObject({ namespace: scene.namespace, topic: '/images/delete' });
    expect(fromBinary(ImageDeleteSchema, envelope.event!.value).name).toBe('expired');
    const { rows } = await fixture.pool.query(
      'SELECT topic, node, subject FROM image.outbox WHERE namespace = $1',
      [scene.namespace],
    );
    expect(rows).toEqual([{ topic: '/images/delete', node: 'n1', subject: 'expired' }]);
  });

  it('answers however many events it causes', async () => {
    const scene = new Scene('n1');
    await fixture.pool.query(
      `INSERT INTO image.images (namespace, node, name, target_digest, expires_at, labels)
       SELECT $1, 'n1', 'img' || n, '', $2::text::timestamptz, jsonb_build_object('containerd.io/gc.expire', $2::text)
       FROM generate_series(1, 300) AS n`,
      [scene.namespace, PAST],
    );
    expect(await scene.collect()).toEqual([]);
  });

  it('keeps ingests until they expire, or as long as a lease has them', async () => {
    const scene = new Scene();
    const caller = { namespace: scene.namespace };
    await fixture.leases.create({ id: 'l' }, scene.caller);
    for (const [ref, lease] of [
      ['leased', 'l'],
      ['expired', ''],
      ['fresh', ''],
    ] as const) {
      await using session = fixture.write({ ...caller, lease });
      await session.send({ ref });
    }
    await fixture.pool.query(
      "UPDATE ingests SET expires_at = now() WHERE namespace = $1 AND ref = 'expired'",
      [scene.namespace],
    );
    expect(await scene.collect()).toEqual(['ingest fresh', 'ingest leased', 'lease l']);
    await fixture.leases.delete({ id: 'l', sync: true }, scene.caller);
    expect(await scene.left()).toEqual(['ingest fresh']);
  });

  it('never leaves its scope', async () => {
    const [here, there] = [new Scene('a'), new Scene('b')];
    await here.content('same');
    await there.content('same');
    await there.lease('l', {}, ['content', digestOf('same')]);
    expect(await here.collect()).toEqual([]);
    expect(await there.collect()).toEqual([...digests('same'), 'lease l'].sort());
  });

  it('comes by itself soon after a deletion, and when a service asks', async () => {
    const scene = new Scene();
    await scene.lease('l', {}, ['content', await scene.content('x')]);
    await fixture.leases.delete({ id: 'l' }, scene.caller);
    await vi.waitFor(async () => expect(await scene.left()).toEqual([]), 5000);
    await scene.snapshot('garbage');
    await fixture.collector.collect({}, scene.caller);
    await vi.waitFor(async () => expect(await scene.left()).toEqual([]), 5000);
  });

  it('comes by itself after the deletion of content, and of what a lease had', async () => {
    const [deleted, unleased] = [new Scene(), new Scene()];
    const labels = { 'containerd.io/gc.root': 'yes', 'containerd.io/gc.ref.content': digestOf('x') };
    await deleted.content('x');
    const digest = await deleted.content('root', labels);
    await fixture.content.delete({ digest }, deleted.caller);
    const resource = { type: 'content', id: await unleased.content('x') };
    await unleased.lease('l', {}, ['content', resource.id]);
    await fixture.leases.deleteResource({ id: 'l', resource }, unleased.caller);
    await vi.waitFor(async () => expect(await deleted.left()).toEqual([]), 5000);
    await vi.waitFor(async () => expect(await unleased.left()).toEqual(['lease l']), 5000);
  });

  it('comes by itself after a hundred writes and updates', async () => {
    const scene = new Scene();
    await scene.content('garbage');
    const info = { digest: await scene.content('root', { 'containerd.io/gc.root': 'yes' }) };
    const updateMask = { paths: ['labels.n'] };
    for (let n = 3; n <= 99; n++) await fixture.content.update({ info, updateMask }, scene.caller);
    expect(await scene.left()).toEqual(digests('garbage', 'root').sort());
    await fixture.content.update({ info, updateMask }, scene.caller);
    await vi.waitFor(async () => expect(await scene.left()).toEqual(digests('root')), 5000);
  });

  it('removes more than one batch', async () => {
    const scene = new Scene();
    await fixture.pool.query(
      `INSERT INTO snapshot.snapshots (namespace, name, parent)
       SELECT $1, 's' || n, CASE WHEN n > 1 THEN 's' || n - 1 END FROM generate_series(1, 1200) AS n`,
      [scene.namespace],
    );
    await scene.container('c', 's10');
    const left = await scene.collect();
    expect(left).toHaveLength(11);
  });

  it('marks a scope that takes longer than statements otherwise may, and reads much garbage in pages', async () => {
    const scene = new Scene();
    await fixture.pool.query(
      `INSERT INTO snapshot.snapshots (namespace, name, parent)
       SELECT $1, 's' || n, 's' || n / 2 FROM generate_series(1, 20000) AS n`,
      [scene.namespace],
    );
    await scene.container('c', 's1234');
    const pool = openPool({ url: fixture.databaseUrl, schema: 'content', size: 1 });
    const views = new CollectionViews(SCHEMAS);
    await views.requireAll(pool);
    await pool.query('SET statement_timeout = 50');
    const { candidates } = await new CollectionRepository(pool, views).mark(scene);
    expect(new Set(candidates.map(({ key }) => key)).size).toBe(20_000 - 11);
    await pool.end();
  });

  it('stops while a service has no contract', async () => {
    const pool = openPool({ url: fixture.databaseUrl, schema: 'content', size: 1 });
    const views = new CollectionViews([...SCHEMAS, 'elsewhere']);
    const collect = new CollectionRepository(pool, views).mark({ namespace: 'default', node: '_' });
    await expect(collect).rejects.toMatchObject({
      kind: 'Unavailable',
      message: expect.stringContaining('schema elsewhere'),
    });
    await pool.end();
  });
});

describe('what changes after the mark', () => {
  async function marked(scene: Scene) {
    const records = new CollectionRepository(fixture.pool, new CollectionViews(SCHEMAS));
    const mark = await records.mark(scene);
    const rescue = await CollectionRescue.of(mark.open);
    const choose = (changed: readonly bigint[]) => {
      rescue.keep(changed);
      return mark.candidates.filter((candidate) => !rescue.isKept(candidate));
    };
    const sweep = async () => (await records.sweep(scene, mark.snapshot, choose)).removed;
    return { mark, sweep };
  }

  it('rescues what a new root leads to, over any number of references', async () => {
    const scene = new Scene();
    const leaf = await scene.content('leaf');
    const middle = await scene.content('middle', { 'containerd.io/gc.ref.content': leaf });
    const top = await scene.content('top', { 'containerd.io/gc.ref.content': middle });
    await scene.content('garbage');
    const { mark, sweep } = await marked(scene);
    expect(mark.candidates).toHaveLength(4);
    await scene.lease('l', {}, ['content', top]);
    expect(await sweep()).toEqual([{ kind: 'content', key: digestOf('garbage'), event: undefined }]);
  });

  it('rescues what an update refers to, and what was updated', async () => {
    const scene = new Scene();
    const leaf = await scene.content('leaf');
    const changed = await scene.content('changed');
    await scene.content('garbage');
    const { sweep } = await marked(scene);
    const info = { digest: changed, labels: { 'containerd.io/gc.ref.content': leaf } };
    await fixture.content.update({ info }, scene.caller);
    expect((await sweep()).map(({ key }) => key)).toEqual([digestOf('garbage')]);
  });

  it('rescues by labels of what only a flat lease kept', async () => {
    const scene = new Scene();
    const child = await scene.content('child');
    const target = await scene.content('target', { 'containerd.io/gc.ref.content': child });
    await scene.lease('flat', { 'containerd.io/gc.flat': 'x' }, ['content', target]);
    const { mark, sweep } = await marked(scene);
    expect(mark.candidates.map(({ key }) => key)).toEqual([child]);
    await scene.lease('l', {}, ['content', target]);
    expect(await sweep()).toEqual([]);
  });

  it('rescues what refers back to a record that did not exist', async () => {
    const scene = new Scene();
    await scene.content('waiting', { 'containerd.io/gc.bref.container': 'c' });
    const { mark, sweep } = await marked(scene);
    expect(mark.candidates).toHaveLength(1);
    await scene.container('c');
    expect(await sweep()).toEqual([]);
  });

  it('rescues what a new condition could keep', async () => {
    const scene = new Scene();
    await scene.snapshot('s');
    const { sweep } = await marked(scene);
    await scene.image('img', '', {
      labels: { 'containerd.io/gc.cond.snapshot.overlayfs': 'usedat<1h|s' },
    });
    expect(await sweep()).toEqual([]);
  });

  it('does not remove a record that was made anew under the same name', async () => {
    const scene = new Scene();
    await scene.snapshot('s');
    const { sweep } = await marked(scene);
    await fixture.pool.query('DELETE FROM snapshot.snapshots WHERE namespace = $1', [scene.namespace]);
    await scene.snapshot('s');
    expect(await sweep()).toEqual([]);
  });

  it('is waited for when it is not committed yet', async () => {
    const scene = new Scene();
    const digest = await scene.content('contended');
    const { sweep } = await marked(scene);
    const pool = openPool({ url: fixture.databaseUrl, schema: 'content', size: 1 });
    let sweeping: ReturnType<typeof sweep> | undefined;
    await transaction(pool, async (tx) => {
      await lockScope(tx, scene);
      sweeping = sweep();
      await waitForLock();
      await tx.query(
        `WITH l AS (INSERT INTO leases (namespace, node, id, revision) VALUES ($1, '_', 'l', 1) RETURNING uid)
         INSERT INTO lease_resources (lease, kind, key) SELECT uid, 'content', $2 FROM l`,
        [scene.namespace, digest],
      );
    });
    expect(await sweeping).toEqual([]);
    await pool.end();
  });

  async function waitForLock(): Promise<void> {
    const pool = openPool({ url: fixture.databaseUrl, schema: 'content', size: 1 });
    await vi.waitFor(async () => {
      const { rowCount } = await pool.query(
        "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
      );
      expect(rowCount).toBe(1);
    }, 5000);
    await pool.end();
  }
});

describe('Collector', () => {
  it('stops before it removes more than the configured share of a large scope', async () => {
    const scene = new Scene();
    await fixture.pool.query(
      "INSERT INTO snapshot.snapshots (namespace, name) SELECT $1, 's' || n FROM generate_series(1, 1000) AS n",
      [scene.namespace],
    );
    const records = new CollectionRepository(fixture.pool, new CollectionViews(SCHEMAS));
    const memory = new PostgresCollectionMemory(fixture.pool);
    const cautious = new Collector(records, memory, { maxShare: 0.5 }, { onRemoved: () => undefined });
    await expect(cautious.collect(scene)).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: expect.stringContaining('would remove 1000 of 1000 records'),
    });
    expect(await scene.left()).toHaveLength(1000);
  });
});
