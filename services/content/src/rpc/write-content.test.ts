import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { digestOf } from '@longshore/oci';
import { ContentCreateSchema } from '@longshore/proto/containerd/events/content';
import { WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ContentFixture, callOf, WriteSession } from '../testing/content-fixture.ts';

const { STAT, WRITE, COMMIT } = WriteAction;
const EMPTY = digestOf('');

let fixture: ContentFixture;
let refs = 0;
const ref = () => `ref-${refs++}`;

beforeAll(async () => {
  fixture = await ContentFixture.start();
});

afterAll(() => fixture.close());

describe('Content.Write', () => {
  it('answers every request, and the last one twice', async () => {
    const data = Buffer.from('first blob');
    const digest = digestOf(data);
    await using session = fixture.write();
    expect(await session.send({ ref: ref(), total: 10n, expected: digest })).toMatchObject({
      action: STAT,
      offset: 0n,
      total: 10n,
      digest: EMPTY,
      startedAt: expect.anything(),
      updatedAt: expect.anything(),
    });
    expect(await session.send({ action: WRITE, data: data.subarray(0, 5) })).toMatchObject({
      action: WRITE,
      offset: 5n,
      digest: digestOf('first'),
    });
    expect(await session.send({ action: WRITE, offset: 5n, data: data.subarray(5) })).toMatchObject({
      offset: 10n,
      digest,
    });
    const labels = { 'containerd.io/gc.root': 'yes', gone: '' };
    const last = await session.send({ action: COMMIT, offset: 10n, total: 10n, expected: digest, labels });
    expect(last).toMatchObject({ action: COMMIT, offset: 10n, digest });
    expect(await session.end()).toEqual([last]);

    expect(await fixture.read(digest)).toBe('first blob');
    const { info } = await fixture.content.info({ digest }, callOf());
    expect(info).toMatchObject({ digest, size: 10n, labels: { 'containerd.io/gc.root': 'yes' } });
  });

  it('needs a reference and a namespace', async () => {
    await expect(fixture.write().send({ action: WRITE })).rejects.toMatchObject({
      kind: 'InvalidArgument',
      message: 'first message must have a reference: invalid argument',
    });
    await expect(fixture.write({ namespace: '' }).send({ ref: ref() })).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: 'namespace is required: failed precondition',
    });
    await expect(fixture.write().send({ ref: ref(), expected: 'sha256:nonsense' })).rejects.toMatchObject({
      kind: 'InvalidArgument',
    });
  });

  it('tells of the new content in a trailer and in the outbox', async () => {
    const digest = digestOf('told');
    let told: Buffer | undefined;
    const onTrailers = (trailers: { get(name: string): (string | Buffer)[] }) => {
      told = trailers.get('longshore-event-bin')[0] as Buffer;
    };
    const session = new WriteSession(fixture.content, { ...callOf({ node: 'node-1' }), onTrailers });
    await session.send({ ref: ref(), action: COMMIT, data: Buffer.from('told') });
    await session.end();
    await vi.waitFor(() => expect(told).toBeDefined());
    const envelope = fromBinary(EnvelopeSchema, told!);
    expect(envelope).toMatchObject({ namespace: 'default', topic: '/content/create' });
    expect(fromBinary(ContentCreateSchema, envelope.event!.value)).toMatchObject({ digest, size: 4n });
    const { rows } = await fixture.pool.query('SELECT * FROM outbox WHERE subject = $1', [digest]);
    expect(rows).toMatchObject([
      {
        namespace: 'default',
        node: 'node-1',
        topic: '/content/create',
        type_url: 'containerd.events.ContentCreate',
      },
    ]);
    expect(Buffer.from(envelope.event!.value).equals(rows[0].payload)).toBe(true);
  });

  it('refuses a blob that the namespace holds, at open and later, and leaves no ingest', async () => {
    const digest = await fixture.put('held');
    await expect(fixture.write().send({ ref: ref(), expected: digest })).rejects.toMatchObject({
      kind: 'AlreadyExists',
      message: `content ${digest}: already exists`,
    });
    const late = ref();
    await using session = fixture.write();
    await session.send({ ref: late });
    await expect(session.send({ action: WRITE, expected: digest })).rejects.toMatchObject({
      kind: 'AlreadyExists',
      message: `blob with expected digest ${digest}: already exists`,
    });
    const blind = ref();
    await expect(
      fixture.write().send({ ref: blind, action: COMMIT, data: Buffer.from('held') }),
    ).rejects.toMatchObject({ kind: 'AlreadyExists', message: `content ${digest}: already exists` });
    for (const gone of [late, blind]) {
      await expect(fixture.content.status({ ref: gone }, callOf())).rejects.toMatchObject({
        kind: 'NotFound',
      });
    }
    expect(await fixture.read(digest)).toBe('held');
  });

  it('says of a commit of other bytes, or in a wrong place, that the expected blob is held', async () => {
    const digest = await fixture.put('held meanwhile');
    for (const commit of [
      { offset: 3n, data: Buffer.from('d') },
      { offset: 2n },
      { offset: 3n, total: 9n },
    ]) {
      const late = ref();
      await using session = fixture.write();
      await session.send({ ref: late, action: WRITE, data: Buffer.from('abc') });
      await expect(session.send({ action: COMMIT, expected: digest, ...commit })).rejects.toMatchObject({
        kind: 'AlreadyExists',
        message: `blob with expected digest ${digest}: already exists`,
      });
      await expect(fixture.content.status({ ref: late }, callOf())).rejects.toMatchObject({
        kind: 'NotFound',
      });
    }
  });

  it('gives a ref to one writer at a time, in each namespace', async () => {
    const shared = ref();
    await using first = fixture.write();
    await first.send({ ref: shared });
    await using other = fixture.write({ namespace: 'other' });
    await other.send({ ref: shared });
    await expect(fixture.write().send({ ref: shared })).rejects.toMatchObject({
      kind: 'Unavailable',
      message: `ref ${shared} locked by another writer: unavailable`,
    });
  });

  it('waits for the last writer of a ref to close', async () => {
    const shared = ref();
    const first = fixture.write();
    await first.send({ ref: shared });
    const second = fixture.write();
    const opened = second.send({ ref: shared });
    await first.end();
    expect(await opened).toMatchObject({ offset: 0n });
    await second.end();
  });

  it('resumes where the last session stopped, however it ended', async () => {
    const again = ref();
    const first = fixture.write();
    await first.send({ ref: again, total: 9n });
    await first.send({ action: WRITE, data: Buffer.from('one') });
    await first.end();
    const second = fixture.write();
    expect(await second.send({ ref: again, total: 9n })).toMatchObject({
      offset: 3n,
      digest: digestOf('one'),
    });
    await second.send({ action: WRITE, offset: 3n, data: Buffer.from('two') });
    await second.cancel();
    const third = fixture.write();
    expect(await third.send({ ref: again, total: 9n })).toMatchObject({
      offset: 6n,
      digest: digestOf('onetwo'),
    });
    await third.send({ action: COMMIT, offset: 6n, data: Buffer.from('six') });
    expect(await fixture.read(digestOf('onetwosix'))).toBe('onetwosix');
    await third.end();
  });

  it('begins again when another total is announced', async () => {
    const again = ref();
    const first = fixture.write();
    await first.send({ ref: again, total: 9n, action: WRITE, data: Buffer.from('one') });
    await first.end();
    await using second = fixture.write();
    expect(await second.send({ ref: again, total: 8n })).toMatchObject({ offset: 0n, digest: EMPTY });
  });

  it('takes data at the current offset, and truncates at zero', async () => {
    await using session = fixture.write();
    await session.send({ ref: ref(), action: WRITE, data: Buffer.from('abc') });
    await session.send({ action: WRITE, data: Buffer.from('xy') });
    const stat = await session.send({ action: STAT });
    expect(stat).toMatchObject({ offset: 2n, digest: digestOf('xy') });
    await expect(session.send({ action: WRITE, offset: 3n, data: Buffer.from('z') })).rejects.toMatchObject({
      kind: 'OutOfRange',
      message: 'write @3 must occur at current offset 2: out of range',
    });
  });

  it('commits an empty blob when a commit names offset zero', async () => {
    await using session = fixture.write({ namespace: 'empty' });
    await session.send({ ref: ref(), action: WRITE, data: Buffer.from('abc') });
    expect(await session.send({ action: COMMIT })).toMatchObject({ offset: 0n, digest: EMPTY });
    expect(await fixture.read(EMPTY, { namespace: 'empty' })).toBe('');
  });

  it('refuses another size or digest than announced, and keeps the ingest', async () => {
    const kept = ref();
    await expect(
      fixture.write().send({ ref: kept, action: COMMIT, data: Buffer.from('four'), total: 5n }),
    ).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: `"${kept}" failed size validation: 4 != 5: failed precondition`,
    });
    const wrong = digestOf('five');
    await expect(
      fixture.write().send({ ref: kept, action: COMMIT, offset: 4n, total: 0n, expected: wrong }),
    ).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: `unexpected commit digest ${digestOf('four')}, expected ${wrong}: failed precondition`,
    });
    const { status } = await fixture.content.status({ ref: kept }, callOf());
    expect(status).toMatchObject({ ref: kept, offset: 4n, total: 5n, expected: '' });
  });

  it('holds a commit to the size and digest that were announced last', async () => {
    const first = { action: WRITE, data: Buffer.from('abc') };
    const commit = { action: COMMIT, offset: 3n };
    await using sized = fixture.write();
    await sized.send({ ...first, ref: ref(), total: 9n });
    await expect(sized.send(commit)).rejects.toMatchObject({ kind: 'FailedPrecondition' });
    await using named = fixture.write();
    await named.send({ ...first, ref: ref(), expected: digestOf('abd') });
    await expect(named.send(commit)).rejects.toMatchObject({ kind: 'FailedPrecondition' });
    await using corrected = fixture.write();
    await corrected.send({ ...first, ref: ref(), total: 9n, expected: digestOf('abd') });
    const announced = { total: 3n, expected: digestOf('abc') };
    expect(await corrected.send({ ...commit, ...announced })).toMatchObject({ digest: digestOf('abc') });
  });

  it('hashes with the algorithm of the expected digest', async () => {
    const digest = digestOf('long', 'sha512');
    await using session = fixture.write();
    await session.send({ ref: ref(), expected: digest });
    expect(await session.send({ action: COMMIT, data: Buffer.from('long') })).toMatchObject({ digest });
    expect(await fixture.read(digest)).toBe('long');
  });

  it('refuses labels that are too long, and a lease that does not exist', async () => {
    await expect(
      fixture.write().send({ ref: ref(), action: COMMIT, labels: { a: 'x'.repeat(4096) } }),
    ).rejects.toMatchObject({ kind: 'InvalidArgument' });
    await expect(fixture.write({ lease: 'nobody' }).send({ ref: ref() })).rejects.toMatchObject({
      kind: 'NotFound',
      message: 'lease does not exist: not found',
    });
  });

  it('leaves no bytes behind of a commit whose lease went away', async () => {
    const caller = { namespace: 'lost-lease', lease: 'short' };
    await fixture.leases.create({ id: 'short' }, callOf(caller));
    const digest = digestOf('unleased');
    await using session = fixture.write(caller);
    await session.send({ ref: ref(), action: WRITE, data: Buffer.from('unleased') });
    await fixture.leases.delete({ id: 'short' }, callOf(caller));
    await expect(session.send({ action: COMMIT, offset: 8n })).rejects.toMatchObject({ kind: 'NotFound' });
    const hex = digest.slice('sha256:'.length);
    const directory = join(fixture.directory, 'content/blobs/sha256', hex.slice(0, 2));
    await expect(readdir(join(directory, hex))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('stores one generation of a digest that two namespaces commit', async () => {
    const text = 'sent twice';
    const digest = digestOf(text);
    const sessions = [fixture.write({ namespace: 'a' }), fixture.write({ namespace: 'b' })];
    for (const session of sessions)
      await session.send({ ref: ref(), action: WRITE, data: Buffer.from(text) });
    await Promise.all(sessions.map((session) => session.send({ action: COMMIT, offset: 10n })));
    await Promise.all(sessions.map((session) => session.end()));
    const hex = digest.slice('sha256:'.length);
    const directory = join(fixture.directory, 'content/blobs/sha256', hex.slice(0, 2), hex);
    expect(await readdir(directory)).toHaveLength(1);
    for (const namespace of ['a', 'b']) expect(await fixture.read(digest, { namespace })).toBe(text);
  });
});

describe('linking', () => {
  const node = 'host-1';

  it('opens at the end for a blob that the node holds in another namespace, and copies nothing', async () => {
    const digest = await fixture.put('shared on a node', {}, { node });
    const caller = { namespace: 'neighbour', node };
    await expect(fixture.content.info({ digest }, callOf(caller))).rejects.toMatchObject({
      kind: 'NotFound',
    });
    await using session = fixture.write(caller);
    const linked = ref();
    expect(await session.send({ ref: linked, expected: digest })).toMatchObject({
      offset: 16n,
      total: 16n,
      digest,
    });
    expect((await fixture.content.status({ ref: linked }, callOf(caller))).status).toMatchObject({
      offset: 16n,
    });
    await session.send({ action: COMMIT, offset: 16n, total: 16n, expected: digest });
    expect(await fixture.read(digest, caller)).toBe('shared on a node');
  });

  it('links across the nodes of a namespace, and not across both', async () => {
    const digest = await fixture.put('on one node', {}, { namespace: 'fleet-ns', node });
    await using same = fixture.write({ namespace: 'fleet-ns', node: 'host-2' });
    expect(await same.send({ ref: ref(), expected: digest })).toMatchObject({ offset: 11n });
    await using stranger = fixture.write({ namespace: 'stranger', node: 'host-3' });
    expect(await stranger.send({ ref: ref(), expected: digest })).toMatchObject({ offset: 0n });
  });

  it('isolates namespaces at the fleet edge, but for one labelled shareable', async () => {
    const digest = await fixture.put('at the edge', {}, { namespace: 'donor' });
    await using isolated = fixture.write({ namespace: 'taker' });
    expect(await isolated.send({ ref: ref(), expected: digest })).toMatchObject({ offset: 0n });
    const namespace = { name: 'donor', labels: { 'containerd.io/namespace.shareable': 'true' } };
    await fixture.namespaces.update({ namespace }, callOf());
    await using sharing = fixture.write({ namespace: 'taker' });
    expect(await sharing.send({ ref: ref(), expected: digest })).toMatchObject({ offset: 11n });
  });

  it('does not link when another size is announced', async () => {
    const digest = await fixture.put('sized', {}, { node });
    await using session = fixture.write({ namespace: 'sizes', node });
    expect(await session.send({ ref: ref(), expected: digest, total: 6n })).toMatchObject({ offset: 0n });
  });

  it('pins the blob while a linking ingest is open', async () => {
    const caller = { namespace: 'pinner', node };
    const digest = await fixture.put('pinned', {}, { node });
    await using session = fixture.write(caller);
    await session.send({ ref: ref(), expected: digest });
    await fixture.content.delete({ digest }, callOf({ node }));
    await fixture.collector.collect({ wait: true }, callOf({ node }));
    await session.send({ action: COMMIT, offset: 6n });
    expect(await fixture.read(digest, caller)).toBe('pinned');
  });

  it('goes on behind a linked blob, and truncates it', async () => {
    const digest = await fixture.put('prefix', {}, { node });
    await using longer = fixture.write({ namespace: 'longer', node });
    await longer.send({ ref: ref(), expected: digest });
    expect(await longer.send({ action: WRITE, offset: 6n, data: Buffer.from(' and more') })).toMatchObject({
      offset: 15n,
      digest: digestOf('prefix and more'),
    });
    await using other = fixture.write({ namespace: 'longer', node });
    await other.send({ ref: ref(), expected: digest });
    expect(await other.send({ action: WRITE, data: Buffer.from('new') })).toMatchObject({
      offset: 3n,
      digest: digestOf('new'),
    });
  });

  it('refuses to commit a linked blob as something else', async () => {
    const digest = await fixture.put('itself', {}, { node });
    await using session = fixture.write({ namespace: 'liar', node });
    await session.send({ ref: ref(), expected: digest });
    await expect(
      session.send({ action: COMMIT, offset: 6n, expected: digestOf('something else') }),
    ).rejects.toMatchObject({ kind: 'FailedPrecondition' });
  });
});
