import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { log, NODE_ID } from '../snapshots/testing/layers-under-test.ts';
import { nodeHeaders } from '../socket/control-plane.ts';
import { RecordFollower } from './record-follower.ts';
import { containerRecord, deletion, emptyCopy, textOf } from './testing/copies.ts';
import { WatchServer } from './testing/watch-server.ts';

async function start() {
  const server = await WatchServer.start();
  const copy = emptyCopy();
  const follower = new RecordFollower({
    keeper: 'runtime',
    client: server.client,
    headers: nodeHeaders(NODE_ID),
    copy,
    log,
  });
  onTestFinished(() => follower[Symbol.asyncDispose]());
  await vi.waitFor(() => expect(copy.isComplete('runtime')).toBe(true));
  return { server, copy, follower };
}

describe('RecordFollower', () => {
  it('takes over changes as they happen', async () => {
    const { server, copy } = await start();
    server.log.push(containerRecord('c', 1n));
    await vi.waitFor(() => expect(textOf(copy, 'c')).toBe('c@1'));
    server.log.push(deletion('c', 2n));
    await vi.waitFor(() => expect(textOf(copy, 'c')).toBeUndefined());
  });

  it('lets the copy answer nothing while it cannot keep what it hears', async () => {
    const { server, copy } = await start();
    const keep = vi.spyOn(copy, 'applyWatched').mockImplementation(() => {
      throw new Error('database or disk is full');
    });
    server.log.push(containerRecord('c', 1n));
    await vi.waitFor(() => expect(copy.isComplete('runtime')).toBe(false));
    keep.mockRestore();
    await vi.waitFor(() => expect(copy.isComplete('runtime')).toBe(true), { timeout: 10_000 });
    expect(textOf(copy, 'c')).toBe('c@1');
  });

  it('goes on where it was when its keeper is back', async () => {
    const { server, copy } = await start();
    server.log.push(containerRecord('c', 1n));
    await vi.waitFor(() => expect(textOf(copy, 'c')).toBe('c@1'));
    await server.stop();
    expect(copy.isComplete('runtime')).toBe(true);
    server.log.push(containerRecord('c', 2n));
    await server.listen();
    await vi.waitFor(() => expect(textOf(copy, 'c')).toBe('c@2'), { timeout: 10_000 });
    expect(server.positions.slice(0, 2)).toEqual(['', '1']);
  });

  it('forgets what is gone when it was away for too long', async () => {
    const { server, copy } = await start();
    server.log.push(containerRecord('c', 1n), containerRecord('d', 2n));
    await vi.waitFor(() => expect(textOf(copy, 'd')).toBe('d@2'));
    await server.stop();
    server.log.splice(0, 1);
    server.oldest = 10;
    await server.listen();
    await vi.waitFor(() => expect(textOf(copy, 'c')).toBeUndefined(), { timeout: 10_000 });
    expect(textOf(copy, 'd')).toBe('d@2');
  });

  it('has caught up when everything from before the question is in the copy', async () => {
    const { server, copy, follower } = await start();
    for (let n = 1n; n < 20n; n++) {
      server.log.push(containerRecord('c', n));
      await follower.caughtUp();
      expect(textOf(copy, 'c')).toBe(`c@${n}`);
    }
    server.isHeld = true;
    let caughtUp = false;
    const waits = [1, 2, 3].map(() =>
      follower.caughtUp().then(() => {
        caughtUp = true;
      }),
    );
    server.log.push(containerRecord('c', 99n));
    await vi.waitFor(() => expect(textOf(copy, 'c')).toBe('c@99'));
    expect(caughtUp).toBe(false);
    server.isHeld = false;
    await Promise.all(waits);
  });
});
