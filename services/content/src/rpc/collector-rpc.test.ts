import { timestampDate } from '@bufbuild/protobuf/wkt';
import { digestOf } from '@longshore/oci';
import type { UnreachedObject } from '@longshore/proto/longshore/content/v1/collector';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CollectionScene } from '../testing/collection-scene.ts';
import { ContentFixture } from '../testing/content-fixture.ts';

let fixture: ContentFixture;

beforeAll(async () => {
  fixture = await ContentFixture.start();
});

afterAll(() => fixture.close());

async function dryRun(scene: CollectionScene): Promise<UnreachedObject[]> {
  const objects: UnreachedObject[] = [];
  for await (const block of fixture.collector.dryRun({}, scene.caller)) objects.push(...block.objects);
  return objects;
}

async function explain(scene: CollectionScene, kind: string, key: string) {
  const answer = await fixture.collector.explain({ kind, key }, scene.caller);
  const { rootReason, unreachedSince, tombstones } = answer;
  return {
    steps: answer.chain.map((link) => `${link.kind} ${link.key}${link.label && ` by ${link.label}`}`),
    holders: answer.holders.map((holder) => `${holder.namespace} on ${holder.node}`),
    rootReason,
    unreachedSince,
    tombstones,
  };
}

describe('DryRun', () => {
  it('tells what would go, how large it is and since when that is known, and removes nothing', async () => {
    const scene = new CollectionScene(fixture);
    await scene.image('img', await scene.content('kept'));
    const garbage = await scene.content('twelve bytes');
    const began = Date.now();
    expect(await dryRun(scene)).toMatchObject([{ kind: 'content', key: garbage, sizeBytes: 12n }]);
    await scene.snapshot('later');
    const [first, second] = await dryRun(scene);
    expect(first).toMatchObject({ key: garbage });
    expect(second).toMatchObject({ kind: 'snapshot', key: 'overlayfs/later' });
    const [since, later] = [timestampDate(first!.since!), timestampDate(second!.since!)];
    expect(since.getTime()).toBeGreaterThan(began - 1000);
    expect(later > since).toBe(true);
    expect(await scene.left()).toHaveLength(4);
  });

  it('sends many in blocks, and forgets what is reached again or gone', async () => {
    const scene = new CollectionScene(fixture);
    await fixture.pool.query(
      "INSERT INTO snapshot.snapshots (namespace, name) SELECT $1, 's' || n FROM generate_series(1, 250) AS n",
      [scene.namespace],
    );
    expect(new Set((await dryRun(scene)).map(({ key }) => key)).size).toBe(250);
    await scene.container('c', 's7');
    expect(await dryRun(scene)).toHaveLength(249);
    const remembered = async () => {
      const { rows } = await fixture.pool.query('SELECT key FROM unreached WHERE namespace = $1', [
        scene.namespace,
      ]);
      return rows.map(({ key }) => key);
    };
    expect(await remembered()).toHaveLength(249);
    expect(await remembered()).not.toContain('overlayfs/s7');
    await scene.collect();
    expect(await remembered()).toEqual([]);
  });

  it('stops as a collection does, after which Explain tells since when', async () => {
    const scene = new CollectionScene(fixture);
    await scene.image('img', await scene.content('kept'));
    await scene.collect();
    await fixture.pool.query('TRUNCATE image.images');
    await expect(fixture.collector.collect({ wait: true }, scene.caller)).rejects.toMatchObject({
      kind: 'FailedPrecondition',
    });
    const stopped = Date.now();
    await expect(dryRun(scene)).rejects.toMatchObject({ kind: 'FailedPrecondition' });
    const { steps, unreachedSince } = await explain(scene, 'content', digestOf('kept'));
    expect(steps).toEqual([]);
    expect(timestampDate(unreachedSince!).getTime()).toBeLessThan(stopped + 1000);
  });
});

describe('Explain', () => {
  it('gives the chain from a root, by fields and labels', async () => {
    const scene = new CollectionScene(fixture);
    await scene.snapshot('base');
    await scene.snapshot('top', 'base');
    const snapshotLabel = 'containerd.io/gc.ref.snapshot.overlayfs';
    const config = await scene.content('config', { [snapshotLabel]: 'top' });
    const contentLabel = 'containerd.io/gc.ref.content.config';
    const manifest = await scene.content('manifest', { [contentLabel]: config });
    await scene.image('img', manifest);
    expect(await explain(scene, 'snapshot', 'overlayfs/base')).toMatchObject({
      steps: [
        'image img',
        `content ${manifest}`,
        `content ${config} by ${contentLabel}`,
        `snapshot overlayfs/top by ${snapshotLabel}`,
        'snapshot overlayfs/base',
      ],
      rootReason: 'image',
      unreachedSince: undefined,
    });
  });

  it('names the lease or label that makes a root, and follows back references', async () => {
    const scene = new CollectionScene(fixture);
    const leased = await scene.content('leased');
    await scene.lease('l', {}, ['content', leased]);
    const child = await scene.content('child', { 'containerd.io/gc.bref.content': leased });
    expect(await explain(scene, 'content', child)).toMatchObject({
      steps: [`content ${leased}`, `content ${child} by containerd.io/gc.bref.content`],
      rootReason: 'lease "l"',
    });
    const labelled = await scene.content('labelled', { 'containerd.io/gc.root': 'x' });
    const { rootReason, steps } = await explain(scene, 'content', labelled);
    expect({ rootReason, steps }).toEqual({
      rootReason: 'containerd.io/gc.root',
      steps: [`content ${labelled}`],
    });
    expect(await explain(scene, 'lease', 'l')).toMatchObject({ steps: ['lease l'], rootReason: 'lease' });
  });

  it('does not take a flat lease for what labels of the leased refer to', async () => {
    const scene = new CollectionScene(fixture);
    const child = await scene.content('by label');
    const leased = await scene.content('flat', { 'containerd.io/gc.ref.content': child });
    await scene.lease('flat', { 'containerd.io/gc.flat': 'x' }, ['content', leased]);
    expect((await explain(scene, 'content', leased)).steps).toHaveLength(1);
    const { steps, unreachedSince } = await explain(scene, 'content', child);
    expect(steps).toEqual([]);
    expect(unreachedSince).toBeDefined();
  });

  it('tells which scopes hold a blob, and when the bytes go that none does', async () => {
    const [here, there] = [new CollectionScene(fixture, 'n1'), new CollectionScene(fixture, 'n2')];
    const digest = await here.content('shared bytes');
    await there.lease('keep', {}, ['content', await there.content('shared bytes')]);
    const holder = (scene: CollectionScene) => `${scene.namespace} on ${scene.node}`;
    expect((await explain(here, 'content', digest)).holders).toEqual([holder(here), holder(there)]);
    await here.collect();
    const elsewhere = await explain(here, 'content', digest);
    expect(elsewhere).toMatchObject({ steps: [], holders: [holder(there)], unreachedSince: undefined });
    await fixture.leases.delete({ id: 'keep', sync: true }, there.caller);
    await expect.poll(async () => (await explain(here, 'content', digest)).tombstones).toHaveLength(1);
    const { tombstones, holders } = await explain(here, 'content', digest);
    expect(holders).toEqual([]);
    const [{ buriedAt, goesAfter }] = tombstones as [(typeof tombstones)[number]];
    expect(timestampDate(goesAfter!).getTime() - timestampDate(buriedAt!).getTime()).toBe(10 * 60_000);
  });

  it('answers NotFound for what is nowhere', async () => {
    const scene = new CollectionScene(fixture);
    for (const kind of ['content', 'image']) {
      await expect(explain(scene, kind, digestOf('nowhere'))).rejects.toMatchObject({ kind: 'NotFound' });
    }
  });
});
