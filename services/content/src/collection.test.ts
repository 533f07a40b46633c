import { fromBinary } from '@bufbuild/protobuf';
import { digestOf } from '@longshore/oci';
import { lockScope, openPool, transaction } from '@longshore/postgres';
import { ImageDeleteSchema } from '@longshore/proto/containerd/services/images/v1/events';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Collector } from './domain/collector.ts';
import { CollectionRepository } from './storage/postgres/collection-repository.ts';
import { CollectionViews } from './storage/postgres/collection-views.ts';
import { ContentFixture, callOf } from './testing/content-fixture.ts';

const PAST = '2001-01-01T00:00:00Z';
const FUTURE = '2999-01-01T00:00:00Z';
const SCHEMAS = ['content', 'image', 'snapshot', 'runtime'];

let fixture: ContentFixture;
let namespaces = 0;

beforeAll(async () => {
  fixture = await ContentFixture.start();
});

afterAll(() => fixture.close());

/** The records of one namespace, which no other test touches. */
class Scene {
  readonly namespace = `scene-${namespaces++}`;
  readonly node: string;

  constructor(node = '_') {
    this.node = node;
  }

  /** Content that nothing keeps. */
  content(text: string, labels: Record<string, string> = {}): Promise<string> {
    return fixture.put(text, labels, { ...this.#caller, lease: '' });
  }

  image(name: string, target: string, more: { labels?: Record<string, string>; expiresAt?: string } = {}) {
    return this.#insert(
      'image.images',
      'name, target_digest, expires_at',
      [name, target, more.expiresAt],
      more.labels,
    );
  }

  snapshot(name: string, parent?: string, labels: Record<string, string> = {}) {
    return this.#insert('snapshot.snapshots', 'name, parent', [name, parent], labels);
  }

  container(id: string, snapshot?: string, labels: Record<string, string> = {}) {
    return this.#insert('runtime.containers', 'id, snapshot', [id, snapshot], labels);
  }

  async lease(id: string, labels: Record<string, string>, ...resources: [type: string, id: string][]) {
    await fixture.leases.create({ id, labels }, callOf(this.#caller));
    for (const [type, resource] of resources) {
      await fixture.leases.addResource({ id, resource: { type, id: resource } }, callOf(this.#caller));
    }
  }

  /** Collects, and answers what is left, as `kind key`. */
  async collect(): Promise<string[]> {
    await fixture.collector.collect({ wait: true }, callOf(this.#caller));
    return this.left();
  }

  async left(): Promise<string[]> {
    const parts = SCHEMAS.map(
      (schema) => `SELECT kind, key FROM ${schema}.gc_objects WHERE namespace = $1 AND node = $2`,
    );
    const { rows } = await fixture.pool.query(parts.join(' UNION ALL '), [this.namespace, this.node]);
    return rows.map(({ kind, key }) => `${kind} ${key}`).sort();
  }

  get caller() {
    return callOf(this.#caller);
  }

  get #caller() {
    return { namespace: this.namespace, node: this.node };
  }

  async #insert(table: string, columns: string, values: unknown[], labels: Record<string, string> = {}) {
    const places = values.map((_, n) => `$${n + 4}`).join(', ');
    await fixture.pool.query(
      `INSERT INTO ${table} (namespace, node, labels, ${columns}) VALUES ($1, $2, $3, ${places})`,
      [this.namespace, this.node, labels, ...values],
    );
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
    return { mark, sweep: () => records.sweep(scene, mark, mark.candidates) };
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
    const cautious = new Collector(records, { maxShare: 0.5 }, () => undefined);
    await expect(cautious.collect(scene)).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: expect.stringContaining('would remove 1000 of 1000 records'),
    });
    expect(await scene.left()).toHaveLength(1000);
  });
});
