import { toBinary } from '@bufbuild/protobuf';
import { RecordSchema } from '@longshore/proto/longshore/watch/v1/watch';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { log, NODE_ID } from '../snapshots/testing/layers-under-test.ts';
import { nodeHeaders } from '../socket/control-plane.ts';
import { NodeRecords } from './node-records.ts';
import { containerRecord, textOf } from './testing/copies.ts';
import { WatchServer } from './testing/watch-server.ts';

async function start() {
  const server = await WatchServer.start();
  const { client } = server;
  const records = new NodeRecords({
    path: ':memory:',
    owner: NODE_ID,
    watches: { content: client, image: client, runtime: client, snapshot: client },
    headers: nodeHeaders(NODE_ID),
    log,
  });
  onTestFinished(() => records[Symbol.asyncDispose]());
  await vi.waitFor(() => expect(records.copy.isComplete('runtime')).toBe(true));
  return { server, records, copy: records.copy };
}

const encoded = (revision: bigint) => toBinary(RecordSchema, containerRecord('c', revision));

describe('NodeRecords', () => {
  it('answers no questions from a copy that could not be written, until it is true again', async () => {
    const { server, records, copy } = await start();
    records.take([encoded(1n)]);
    expect(textOf(copy, 'c')).toBe('c@1');
    vi.spyOn(copy, 'apply').mockImplementationOnce(() => {
      throw new Error('database or disk is full');
    });
    server.log.push(containerRecord('c', 2n));
    records.take([encoded(2n)]);
    expect(copy.isComplete('runtime')).toBe(false);
    expect(copy.isComplete('content')).toBe(true);
    await vi.waitFor(() => expect(copy.isComplete('runtime')).toBe(true));
    expect(textOf(copy, 'c')).toBe('c@2');
  });

  it('answers nothing of what an unheard call may have changed until its keeper was asked, but for when nobody can be', async () => {
    const { server, records, copy } = await start();
    records.take([encoded(1n)]);
    server.isHeld = true;
    records.doubtChange('container', 'default');
    expect(textOf(copy, 'c')).toBe('stale');
    expect(copy.list('container', 'default')).toBe('stale');
    expect(copy.get('container', 'other', 'c')).toBeUndefined();
    expect(copy.get('sandbox', 'default', 'c')).toBeUndefined();
    expect(copy.lastKnown.get('container', 'default', 'c')).toMatchObject({ key: 'c' });
    server.log.push(containerRecord('c', 2n));
    server.isHeld = false;
    await vi.waitFor(() => expect(textOf(copy, 'c')).toBe('c@2'));
  });

  it('knows of content that was made by a call whose end was not heard', async () => {
    const { server, records, copy } = await start();
    const ended = records.expectContent('default');
    server.isHeld = true;
    ended(false);
    server.log.push({ ...containerRecord('sha256:x', 1n), kind: 'content' });
    await vi.waitFor(() => expect(copy.get('content', 'default', 'sha256:x')).toBeTypeOf('object'));
    expect(copy.list('content', 'default')).toBe('stale');
    server.isHeld = false;
    await vi.waitFor(() => expect(copy.list('content', 'default')).toHaveLength(1));
  });
});
