import { toBinary } from '@bufbuild/protobuf';
import { ImageSchema } from '@longshore/proto/containerd/services/images/v1/images';
import { WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import { createClient } from '@longshore/rpc';
import { HearingNode } from '@longshore/rpc/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { imageInit } from '../testing/caller.ts';
import { ImageFixture } from '../testing/image-fixture.ts';

let service: ImageFixture;
let node: HearingNode;
let counter = 0;

beforeAll(async () => {
  service = await ImageFixture.start();
});

beforeEach(async () => {
  counter += 1;
  node = new HearingNode(createClient(WatchService, service.channel), `n${counter}`);
  await node.hear();
});

afterAll(() => service.close());

async function answerOf(name: string): Promise<Uint8Array> {
  const { image } = await service.images.get({ name }, node.options);
  return toBinary(ImageSchema, image!);
}

describe('records of images', () => {
  it('are in the trailers of every change as the watch tells them, with what Get answers', async () => {
    const changes = [
      () => service.images.create({ image: imageInit('a') }, node.options),
      () => service.images.update({ image: imageInit('a', { labels: { b: '2' } }) }, node.options),
    ];
    let revision = 0n;
    for (const change of changes) {
      await change();
      const { reported, watched } = await node.hear();
      expect(watched).toEqual(reported);
      expect(reported).toMatchObject([
        { kind: 'image', namespace: 'default', key: 'a', deleted: false, value: await answerOf('a') },
      ]);
      expect(reported[0]!.revision).toBeGreaterThan(revision);
      revision = reported[0]!.revision;
    }
    await service.images.delete({ name: 'a' }, node.options);
    const { reported, watched } = await node.hear();
    expect(watched).toEqual(reported);
    expect(reported).toMatchObject([{ key: 'a', deleted: true, value: new Uint8Array() }]);
    expect(reported[0]!.revision).toBeGreaterThan(revision);
  });

  it('stay with their node', async () => {
    const other = new HearingNode(createClient(WatchService, service.channel), 'other');
    await service.images.create({ image: imageInit('a') }, node.options);
    expect((await other.hear()).watched).toEqual([]);
    expect((await node.hear()).watched).toHaveLength(1);
  });

  it('are told when the collector removes them', async () => {
    await service.images.create({ image: imageInit('a') }, node.options);
    await node.hear();
    await service.pool.query(
      `SELECT gc_delete('default', node, ARRAY['image'], ARRAY[name], ARRAY[uid]) FROM images WHERE node = $1`,
      [node.node],
    );
    expect((await node.hear()).watched).toMatchObject([{ kind: 'image', key: 'a', deleted: true }]);
  });

  it('leave out of a trailer a value that does not fit', async () => {
    const labels = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`l${n}`, 'x'.repeat(4000)]));
    await service.images.create({ image: imageInit('large', { labels }) }, node.options);
    const { reported, watched } = await node.hear();
    expect(reported).toEqual([{ ...watched[0]!, value: new Uint8Array() }]);
    expect(watched[0]!.value).toEqual(await answerOf('large'));
  });
});
