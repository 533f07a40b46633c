import { join } from 'node:path';
import type { Record } from '@longshore/proto/longshore/watch/v1/watch';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { RecordCopy } from './record-copy.ts';
import { containerRecord, deletion, emptyCopy, syncedCopy, textOf } from './testing/copies.ts';

function told(
  copy: RecordCopy,
  round: number,
  records: Record[],
  flags: { reset?: boolean; synced?: boolean } = {},
) {
  const { reset = false, synced = false } = flags;
  copy.applyWatched('runtime', round, { records, position: `p${round}`, reset, synced });
}

const ids = (copy: RecordCopy) => {
  const records = copy.list('container', 'default');
  return records === 'stale' ? 'stale' : records.map(({ key }) => key);
};

describe('RecordCopy', () => {
  it('keeps what has the higher revision, in whatever order it comes', () => {
    const copy = emptyCopy();
    copy.apply([containerRecord('c', 5n)]);
    copy.apply([containerRecord('c', 4n)]);
    expect(textOf(copy, 'c')).toBe('c@5');
    copy.apply([containerRecord('c', 9n), containerRecord('c', 7n)]);
    expect(textOf(copy, 'c')).toBe('c@9');
  });

  it('does not revive what was deleted by an older word of it', () => {
    const copy = emptyCopy();
    copy.apply([deletion('c', 6n)]);
    copy.apply([containerRecord('c', 5n)]);
    expect(textOf(copy, 'c')).toBeUndefined();
    copy.apply([containerRecord('c', 7n)]);
    expect(textOf(copy, 'c')).toBe('c@7');
  });

  it('says that it does not know a value that was not told, until it is', () => {
    const copy = emptyCopy();
    copy.apply([containerRecord('c', 5n), containerRecord('d', 5n)]);
    copy.apply([containerRecord('c', 6n, '')]);
    expect(textOf(copy, 'c')).toBe('stale');
    expect(ids(copy)).toBe('stale');
    copy.apply([containerRecord('c', 5n)]);
    expect(textOf(copy, 'c')).toBe('stale');
    copy.apply([containerRecord('c', 6n, 'told')]);
    expect(textOf(copy, 'c')).toBe('told');
  });

  it('is complete once it was synced, and until a change is known to be missing', () => {
    const copy = emptyCopy();
    const { round, position } = copy.beginRound('runtime');
    expect(position).toBe('');
    told(copy, round, [], { reset: true });
    expect(copy.isComplete('runtime')).toBe(false);
    told(copy, round, [], { synced: true });
    expect(copy.isComplete('runtime')).toBe(true);
    expect(copy.isComplete('content')).toBe(false);
    copy.doubt('runtime');
    told(copy, round, [], { synced: true });
    expect(copy.isComplete('runtime')).toBe(false);
    told(copy, copy.beginRound('runtime').round, [], { synced: true });
    expect(copy.isComplete('runtime')).toBe(true);
  });

  it('does not say that something is not there while it is on its way', () => {
    const copy = syncedCopy();
    const arrived = [copy.expectNew('container', 'default'), copy.expectNew('container', 'default')];
    expect(textOf(copy, 'c')).toBe('stale');
    expect(copy.get('container', 'other', 'c')).toBeUndefined();
    copy.apply([containerRecord('c', 1n)]);
    expect(textOf(copy, 'c')).toBe('c@1');
    expect(ids(copy)).toBe('stale');
    for (const release of arrived) release();
    expect(ids(copy)).toEqual(['c']);
  });

  it('forgets after a reset what does not come again, but not what its own callers did meanwhile', () => {
    const copy = syncedCopy();
    copy.apply([containerRecord('gone', 5n), containerRecord('kept', 6n), containerRecord('older', 100n)]);
    const { round } = copy.beginRound('runtime');
    copy.apply([containerRecord('own', 7n)]);
    told(copy, round, [], { reset: true });
    expect(ids(copy)).toEqual(['gone', 'kept', 'older', 'own']);
    told(copy, round, [containerRecord('kept', 6n)]);
    // As a keeper says that went back to a backup.
    told(copy, round, [containerRecord('older', 50n), containerRecord('own', 3n)], { synced: true });
    expect(ids(copy)).toEqual(['kept', 'older', 'own']);
    expect(textOf(copy, 'older')).toBe('older@50');
    expect(textOf(copy, 'own')).toBe('own@7');
  });

  it('goes on with a reset that was cut', () => {
    const copy = syncedCopy();
    copy.apply([containerRecord('gone', 5n), containerRecord('kept', 6n), containerRecord('rest', 7n)]);
    const first = copy.beginRound('runtime');
    told(copy, first.round, [containerRecord('kept', 6n)], { reset: true });
    const second = copy.beginRound('runtime');
    expect(second.position).toBe(`p${first.round}`);
    told(copy, second.round, [containerRecord('rest', 7n)], { synced: true });
    expect(ids(copy)).toEqual(['kept', 'rest']);
  });

  it('tells its listeners what it took, and nothing twice', () => {
    const copy = syncedCopy();
    const heard: bigint[] = [];
    copy.onChange(({ revision }) => heard.push(revision));
    const { round } = copy.beginRound('runtime');
    told(copy, round, [containerRecord('c', 5n), containerRecord('c', 4n)]);
    copy.apply([containerRecord('c', 5n), deletion('c', 6n)]);
    expect(heard).toEqual([5n, 6n]);
  });

  it('tells its listeners what a reset has forgotten', () => {
    const copy = syncedCopy();
    copy.apply([containerRecord('gone', 5n), containerRecord('kept', 6n), deletion('long-gone', 7n)]);
    const heard: string[] = [];
    copy.onChange(({ key, deleted }) => heard.push(`${key} ${deleted}`));
    const { round } = copy.beginRound('runtime');
    told(copy, round, [containerRecord('kept', 6n)], { reset: true, synced: true });
    expect(heard).toEqual(['kept false', 'gone true']);
  });

  it('names the containers that are being deleted, from before and from now on', () => {
    const copy = emptyCopy();
    const named: string[] = [];
    copy.apply([{ ...containerRecord('c', 5n), deleting: true }, containerRecord('d', 6n)]);
    copy.onDeleting(({ namespace, id }) => named.push(`${namespace}/${id}`));
    copy.apply([{ ...containerRecord('d', 7n), deleting: true }]);
    copy.apply([deletion('c', 8n)]);
    expect(named).toEqual(['default/c', 'default/d']);
    expect(copy.deletingContainers()).toEqual([{ namespace: 'default', id: 'd' }]);
  });

  it('lists a snapshotter, and no other whose name begins alike', () => {
    const copy = emptyCopy();
    const snapshot = (key: string) => ({ ...containerRecord(key, 1n), kind: 'snapshot' });
    copy.apply(['overlayfs/b', 'overlayfs/a/x', 'overlayfs2/c', 'native/d'].map(snapshot));
    const listed = copy.list('snapshot', 'default', 'overlayfs/');
    expect(listed === 'stale' || listed.map(({ key }) => key)).toEqual(['overlayfs/a/x', 'overlayfs/b']);
  });

  it('is there again after a restart, for the same node only', async () => {
    const path = join(await scratchDirectory(), 'records.db');
    {
      using copy = new RecordCopy(path, 'node-1 fleet');
      told(copy, copy.beginRound('runtime').round, [containerRecord('c', 5n)], { synced: true });
    }
    {
      using copy = new RecordCopy(path, 'node-1 fleet');
      expect(textOf(copy, 'c')).toBe('c@5');
      expect(copy.isComplete('runtime')).toBe(true);
      expect(copy.beginRound('runtime')).toEqual({ position: 'p1', round: 2 });
    }
    using copy = new RecordCopy(path, 'node-1 other-fleet');
    expect(textOf(copy, 'c')).toBeUndefined();
    expect(copy.isComplete('runtime')).toBe(false);
    expect(copy.beginRound('runtime').position).toBe('');
  });

  it('writes nothing when a watch tells it what it has, and goes on from there', async () => {
    const path = join(await scratchDirectory(), 'records.db');
    const clock = vi.spyOn(performance, 'now').mockReturnValue(1e6);
    onTestFinished(() => clock.mockRestore());
    using copy = new RecordCopy(path, 'node-1');
    const { round } = copy.beginRound('runtime');
    const watched = (position: string, records: Record[], flags = {}) =>
      copy.applyWatched('runtime', round, { records, position, reset: false, synced: false, ...flags });
    watched('1', [], { reset: true });
    watched('1', [], { synced: true });
    copy.apply([containerRecord('c', 5n), deletion('d', 6n)]);
    const changes: string[] = [];
    copy.onChange(({ key }) => changes.push(key));
    const stored = () => {
      using other = new RecordCopy(path, 'node-1');
      return other.beginRound('content') && other.beginRound('runtime').position;
    };
    watched('2', [containerRecord('c', 5n), deletion('d', 6n), containerRecord('c', 4n)]);
    expect(stored()).toBe('1');
    watched('3', [containerRecord('c', 5n), containerRecord('c', 7n)]);
    expect(stored()).toBe('3');
    expect(changes).toEqual(['c']);
    expect(textOf(copy, 'c')).toBe('c@7');
    watched('4', [deletion('d', 6n)]);
    expect(stored()).toBe('3');
    clock.mockReturnValue(1e6 + 5_001);
    watched('5', [deletion('d', 6n)]);
    expect(stored()).toBe('5');
    watched('6', []);
    expect(copy.beginRound('runtime').position).toBe('6');
  });
});
