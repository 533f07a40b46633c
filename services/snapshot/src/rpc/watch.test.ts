import { create, toBinary } from '@bufbuild/protobuf';
import { Kind, SnapshotSchema } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { HearingNode } from '@longshore/rpc/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ServiceUnderTest, startSnapshotService } from '../testing/snapshot-service.ts';

const snapshotter = 'overlayfs';

let service: ServiceUnderTest;
let node: HearingNode;
let counter = 0;

beforeAll(async () => {
  service = await startSnapshotService();
});

beforeEach(async () => {
  counter += 1;
  node = new HearingNode(service.watch, `n${counter}`);
  await node.hear();
});

afterAll(() => service.close());

function prepare(key: string, parent = '') {
  counter += 1;
  const generation = `g${counter}`;
  return service.catalogue.prepare(
    { snapshotter, key, parent, kind: Kind.ACTIVE, generation, labels: { a: '1' } },
    node.options,
  );
}

function commit(name: string, key: string) {
  return service.catalogue.commit({ snapshotter, name, key, size: 1n, inodes: 1n }, node.options);
}

/** What Get answers, without the ancestors. */
async function answerOf(key: string): Promise<Uint8Array> {
  const { snapshot } = await service.catalogue.get({ snapshotter, key }, node.options);
  return toBinary(SnapshotSchema, create(SnapshotSchema, { ...snapshot!, ancestorGenerations: [] }));
}

/** What both ways have told since the last time, which must be the same. */
async function heard() {
  const { reported, watched } = await node.hear();
  expect(watched).toEqual(reported);
  return reported;
}

describe('records of snapshots', () => {
  it('are in the trailers of every change as the watch tells them, with what Get answers', async () => {
    await prepare('base-key');
    expect(await heard()).toMatchObject([
      {
        kind: 'snapshot',
        namespace: 'default',
        key: 'overlayfs/base-key',
        value: await answerOf('base-key'),
      },
    ]);
    await commit('base', 'base-key');
    const committed = await heard();
    expect(committed).toHaveLength(2);
    expect(committed).toContainEqual(
      expect.objectContaining({ key: 'overlayfs/base-key', deleted: true, value: new Uint8Array() }),
    );
    expect(committed).toContainEqual(
      expect.objectContaining({ key: 'overlayfs/base', deleted: false, value: await answerOf('base') }),
    );
    await prepare('top', 'base');
    expect(await heard()).toMatchObject([{ key: 'overlayfs/top', value: await answerOf('top') }]);
    await service.catalogue.update({ snapshotter, key: 'top', labels: { b: '2' } }, node.options);
    const [updated] = await heard();
    expect(updated).toMatchObject({ key: 'overlayfs/top', value: await answerOf('top') });
    await service.catalogue.remove({ snapshotter, key: 'top' }, node.options);
    const [removed] = await heard();
    expect(removed).toMatchObject({ key: 'overlayfs/top', deleted: true });
    expect(removed!.revision).toBeGreaterThan(updated!.revision);
  });

  it('give a name that is used again a revision above that of its commit', async () => {
    await prepare('key');
    await commit('layer', 'key');
    const freed = (await node.hear()).watched.find(({ deleted }) => deleted);
    await prepare('key');
    const [again] = await heard();
    expect(again).toMatchObject({ key: 'overlayfs/key', deleted: false });
    expect(again!.revision).toBeGreaterThan(freed!.revision);
  });

  it('are told when the collector removes them', async () => {
    await prepare('doomed');
    await heard();
    await service.database.query(
      `SELECT snapshot.gc_delete('default', node, ARRAY['snapshot'], ARRAY['overlayfs/doomed'], ARRAY[uid])
       FROM snapshot.snapshots WHERE node = $1`,
      [node.node],
    );
    expect((await node.hear()).watched).toMatchObject([{ key: 'overlayfs/doomed', deleted: true }]);
  });
});
