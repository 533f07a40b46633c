import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CollectionScene } from './testing/collection-scene.ts';
import { ContentFixture } from './testing/content-fixture.ts';

let fixture: ContentFixture;

beforeAll(async () => {
  fixture = await ContentFixture.start();
});

afterAll(() => fixture.close());

/** An image with a manifest and a snapshot that only its label keeps, and a container with a snapshot of two layers. */
async function collectedScene(): Promise<CollectionScene> {
  const scene = new CollectionScene(fixture, 'n1');
  await scene.snapshot('base');
  await scene.snapshot('rw', 'base');
  await scene.snapshot('unpacked');
  await scene.container('c', 'rw');
  const manifest = await scene.content('manifest', {
    'containerd.io/gc.ref.snapshot.overlayfs': 'unpacked',
  });
  await scene.image('img', manifest);
  await scene.lease('l', {}, ['content', await scene.content('leased')]);
  expect(await scene.collect()).toHaveLength(8);
  return scene;
}

/** Collects, and answers the error's message; nothing may be removed. */
async function stopped(scene: CollectionScene): Promise<string> {
  const before = await scene.left();
  const error = await fixture.collector.collect({ wait: true }, scene.caller).then(
    () => new Error('did not stop'),
    (thrown: Error) => thrown,
  );
  expect(await scene.left()).toEqual(before);
  return error.message;
}

describe('a collection', () => {
  it.each([
    ['image', 'images', 'schema image: view gc_objects shows no image any more, where it showed 1 at 2'],
    [
      'snapshot',
      'snapshots',
      'schema snapshot: view gc_objects shows no snapshot any more, where it showed 3',
    ],
    [
      'runtime',
      'containers',
      'schema runtime: view gc_objects shows no container any more, where it showed 1',
    ],
    ['content', 'contents', 'schema content: view gc_objects shows no content any more, where it showed 2'],
    ['content', 'leases', 'schema content: view gc_objects shows no lease any more, where it showed 1'],
  ])('stops when %s.%s was emptied, until it is forced', async (schema, table, problem) => {
    const scene = await collectedScene();
    await fixture.pool.query(`TRUNCATE ${schema}.${table} CASCADE`);
    expect(await stopped(scene)).toContain(problem);
    expect(await stopped(scene)).toContain(`namespace "${scene.namespace}" on node "n1"`);
    await fixture.collector.collect({ force: true }, scene.caller);
    await fixture.collector.collect({ wait: true }, scene.caller);
  });

  it.each([
    ['image', 'gc_roots', 'schema image: view gc_roots does not show the image "img" of gc_objects'],
    ['runtime', 'gc_roots', 'schema runtime: view gc_roots does not show the container "c" of gc_objects'],
    ['content', 'gc_roots', 'schema content: view gc_roots does not show the lease "l" of gc_objects'],
    ['image', 'gc_references', 'schema image: view gc_references shows 0 targets of 1 images'],
    [
      'runtime',
      'gc_references',
      'view gc_references shows no reference of a container any more, where it showed 1',
    ],
    [
      'snapshot',
      'gc_references',
      'view gc_references shows no reference of a snapshot any more, where it showed 1',
    ],
    ['image', 'gc_objects', 'schema image: view gc_objects shows no image any more, where it showed 1'],
  ])(
    'stops while the view %s.%s shows nothing, and goes on once it does again',
    async (schema, view, problem) => {
      const scene = await collectedScene();
      await withView(
        schema,
        view,
        (select) => `SELECT * FROM (${select}) AS v WHERE false`,
        async () => {
          expect(await stopped(scene)).toContain(problem);
        },
      );
      expect(await scene.collect()).toHaveLength(8);
    },
  );

  it('stops while a view is missing', async () => {
    const scene = await collectedScene();
    await fixture.pool.query('ALTER VIEW snapshot.gc_references RENAME TO elsewhere');
    try {
      expect(await stopped(scene)).toContain('schema snapshot: view gc_references is missing');
    } finally {
      await fixture.pool.query('ALTER VIEW snapshot.elsewhere RENAME TO gc_references');
    }
    expect(await scene.collect()).toHaveLength(8);
  });

  it('stops when content was lost together with what collections remember of it', async () => {
    const scene = await collectedScene();
    await fixture.pool.query(
      'TRUNCATE content.contents, content.collection_censuses, content.leases CASCADE',
    );
    expect(await stopped(scene)).toContain('schema content: view gc_objects shows no content, which records');
  });

  it('is not stopped by what was deleted, one by one or all at once', async () => {
    const scene = await collectedScene();
    await fixture.pool.query('DELETE FROM image.images WHERE namespace = $1', [scene.namespace]);
    await fixture.leases.delete({ id: 'l', sync: true }, scene.caller);
    expect(await scene.left()).toEqual(['container c', 'snapshot overlayfs/base', 'snapshot overlayfs/rw']);
    await fixture.pool.query('DELETE FROM runtime.containers WHERE namespace = $1', [scene.namespace]);
    expect(await scene.collect()).toEqual([]);
    await scene.lease('again', {});
    await fixture.leases.delete({ id: 'again', sync: true }, scene.caller);
    expect(await scene.collect()).toEqual([]);
  });

  it('goes by what services have forgotten of deletions', async () => {
    const scene = await collectedScene();
    await fixture.pool.query('DELETE FROM image.images WHERE namespace = $1', [scene.namespace]);
    await fixture.pool.query(`WITH gone AS (DELETE FROM image.deletions WHERE node = 'n1' RETURNING changed)
      INSERT INTO image.deletion_horizons (node, transactions) SELECT 'n1', array_agg(changed) FROM gone`);
    expect(await scene.collect()).not.toContain('snapshot overlayfs/unpacked');
  });

  it('is not forced by a call that did not ask for it', async () => {
    const scene = await collectedScene();
    await fixture.pool.query('TRUNCATE image.images');
    await expect(fixture.leases.delete({ id: 'l', sync: true }, scene.caller)).rejects.toMatchObject({
      kind: 'FailedPrecondition',
    });
    await expect(fixture.leases.listResources({ id: 'l' }, scene.caller)).rejects.toMatchObject({
      kind: 'NotFound',
    });
  });
});

/** Another definition of a view while `work` runs. */
async function withView(
  schema: string,
  view: string,
  change: (select: string) => string,
  work: () => Promise<void>,
): Promise<void> {
  const { rows } = await fixture.pool.query('SELECT pg_get_viewdef($1::regclass) AS text', [
    `${schema}.${view}`,
  ]);
  const select = rows[0].text.replace(/;\s*$/, '');
  const replace = (text: string) => fixture.pool.query(`CREATE OR REPLACE VIEW ${schema}.${view} AS ${text}`);
  await replace(change(select));
  try {
    await work();
  } finally {
    await replace(select);
  }
}
