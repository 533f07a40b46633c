import { create, toBinary } from '@bufbuild/protobuf';
import { type Digest, digestOf } from '@longshore/oci';
import { InfoSchema, WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { NamespaceSchema } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import { HearingNode } from '@longshore/rpc/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ContentFixture, WriteSession } from '../testing/content-fixture.ts';

let fixture: ContentFixture;
let node: HearingNode;
let counter = 0;

beforeAll(async () => {
  fixture = await ContentFixture.start();
});

beforeEach(async () => {
  counter += 1;
  node = new HearingNode(fixture.watch, `n${counter}`);
  await fixture.namespaces.create({ namespace: { name: 'default' } }, node.options);
  await node.hear();
});

afterAll(() => fixture.close());

/** Answers whether bytes had to be sent. */
async function put(text: string): Promise<{ digest: Digest; isLinked: boolean }> {
  const data = Buffer.from(text);
  const digest = digestOf(data);
  const total = BigInt(data.byteLength);
  await using session = new WriteSession(fixture.content, node.options);
  counter += 1;
  const { offset } = await session.send({ ref: `put-${counter}`, total, expected: digest });
  if (offset === 0n) await session.send({ action: WriteAction.WRITE, data });
  const labels = { 'containerd.io/gc.root': 'now' };
  await session.send({ action: WriteAction.COMMIT, offset: total, total, expected: digest, labels });
  await session.end();
  return { digest, isLinked: offset === total };
}

async function answerOf(digest: string): Promise<Uint8Array> {
  const { info } = await fixture.content.info({ digest }, node.options);
  return toBinary(InfoSchema, info!);
}

/** The one record that both ways have told of since the last time. */
async function heard() {
  const { reported, watched } = await node.hear();
  expect(watched).toEqual(reported);
  expect(reported).toHaveLength(1);
  return reported[0]!;
}

describe('records of content', () => {
  it('are in the trailers of every change as the watch tells them, with what Info answers', async () => {
    const { digest } = await put('hello');
    const written = await heard();
    expect(written).toMatchObject({ kind: 'content', namespace: 'default', key: digest });
    expect(written.value).toEqual(await answerOf(digest));
    const info = { digest, labels: { 'containerd.io/gc.root': 'later' } };
    await fixture.content.update({ info, updateMask: { paths: ['labels'] } }, node.options);
    const updated = await heard();
    expect(updated.value).toEqual(await answerOf(digest));
    expect(updated.revision).toBeGreaterThan(written.revision);
    await fixture.content.delete({ digest }, node.options);
    const deleted = await heard();
    expect(deleted).toMatchObject({ kind: 'content', key: digest, deleted: true });
    expect(deleted.revision).toBeGreaterThan(updated.revision);
  });

  it('are in the trailer of a commit that links what another node has', async () => {
    await fixture.put('shared bytes', {}, { node: 'elsewhere' });
    const { digest, isLinked } = await put('shared bytes');
    expect(isLinked).toBe(true);
    const linked = await heard();
    expect(linked).toMatchObject({ kind: 'content', key: digest, deleted: false });
    expect(linked.value).toEqual(await answerOf(digest));
  });

  it('are gone once a collection that was waited for is over', async () => {
    const { digest } = await put('kept by its label');
    await heard();
    const info = { digest, labels: {} };
    await fixture.content.update({ info, updateMask: { paths: ['labels'] } }, node.options);
    await fixture.collector.collect({ wait: true }, node.options);
    const { watched } = await node.hear();
    expect(watched).toMatchObject([{ key: digest, deleted: true }]);
  });
});

describe('records of namespaces', () => {
  it('are in the trailers of every change as the watch tells them, with what Get answers', async () => {
    const answer = async () => {
      const { namespace } = await fixture.namespaces.get({ name: 'blue' }, node.options);
      return toBinary(NamespaceSchema, create(NamespaceSchema, namespace!));
    };
    await fixture.namespaces.create({ namespace: { name: 'blue', labels: { a: '1' } } }, node.options);
    const created = await heard();
    expect(created).toMatchObject({ kind: 'namespace', namespace: 'blue', key: 'blue' });
    expect(created.value).toEqual(await answer());
    const namespace = { name: 'blue', labels: { b: '2' } };
    await fixture.namespaces.update({ namespace, updateMask: { paths: ['labels.b'] } }, node.options);
    const updated = await heard();
    expect(updated.value).toEqual(await answer());
    await fixture.namespaces.delete({ name: 'blue' }, node.options);
    const deleted = await heard();
    expect(deleted).toMatchObject({ kind: 'namespace', key: 'blue', deleted: true });
    expect(deleted.revision).toBeGreaterThan(updated.revision);
  });

  it('are in the trailers of a lease that makes one', async () => {
    const { headers, onTrailers } = node.options;
    const options = {
      headers: { ...headers, 'containerd-namespace': 'leased' },
      ...(onTrailers && { onTrailers }),
    };
    await fixture.leases.create({ id: 'a' }, options);
    const made = await heard();
    expect(made).toMatchObject({ kind: 'namespace', namespace: 'leased', key: 'leased' });
    await fixture.leases.create({ id: 'b' }, options);
    expect((await node.hear()).reported).toEqual([]);
  });

  it('are told when a write makes one', async () => {
    const options = { headers: { 'containerd-namespace': 'implied', 'longshore-node': node.node } };
    await using session = new WriteSession(fixture.content, options);
    await session.send({ ref: 'r' });
    expect((await node.hear()).watched).toMatchObject([{ kind: 'namespace', key: 'implied' }]);
  });
});
