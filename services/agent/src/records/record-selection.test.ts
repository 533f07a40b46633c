import { create, toBinary } from '@bufbuild/protobuf';
import { parseFilters } from '@longshore/filters';
import { InfoSchema } from '@longshore/proto/containerd/services/content/v1/content';
import { type Record as NodeRecord, RecordSchema } from '@longshore/proto/longshore/watch/v1/watch';
import { describe, expect, it } from 'vitest';
import { openCopyDatabase } from './copy-database.ts';
import { LabelIndex } from './label-index.ts';
import type { RecordCopy } from './record-copy.ts';
import { syncedCopy } from './testing/copies.ts';

function content(
  key: string,
  revision: bigint,
  labels: Record<string, string>,
  namespace = 'default',
): NodeRecord {
  const value = toBinary(InfoSchema, create(InfoSchema, { digest: key, labels }));
  return create(RecordSchema, { kind: 'content', namespace, key, revision, value });
}

async function keys(copy: RecordCopy, ...filters: string[]): Promise<string[]> {
  const pages = copy.select('content', 'default', parseFilters(filters));
  if (pages === 'stale') throw new Error('stale');
  return (await Array.fromAsync(pages)).flat().map(({ key }) => key);
}

describe('RecordCopy.select', () => {
  it('finds records by the labels that they have now, in byte order of their keys', async () => {
    const copy = syncedCopy();
    copy.apply([
      content('b', 1n, { colour: 'red' }),
      content('a', 2n, { colour: 'red', size: 'l' }),
      content('c', 3n, { colour: 'blue' }),
      content('other', 4n, { colour: 'red' }, 'elsewhere'),
    ]);
    expect(await keys(copy, 'labels.colour==red')).toEqual(['a', 'b']);
    expect(await keys(copy, 'labels.size')).toEqual(['a']);
    expect(await keys(copy, 'labels.size==l', 'labels.colour==blue')).toEqual(['a', 'c']);
    copy.apply([
      content('a', 5n, { colour: 'green' }),
      create(RecordSchema, { kind: 'content', namespace: 'default', key: 'b', revision: 6n, deleted: true }),
    ]);
    expect(await keys(copy, 'labels.colour==red')).toEqual([]);
    expect(await keys(copy, 'labels.colour==green')).toEqual(['a']);
    expect(await keys(copy, 'labels.size')).toEqual([]);
  });

  it('reads all records when labels do not say, in pages', async () => {
    const copy = syncedCopy();
    const names = Array.from({ length: 1100 }, (_, n) => `k${String(n).padStart(4, '0')}`);
    copy.apply(names.map((name, n) => content(name, BigInt(n + 1), {})));
    const pages = copy.select('content', 'default', parseFilters(['digest~=k', 'labels.x==1']));
    if (pages === 'stale') throw new Error('stale');
    const read = await Array.fromAsync(pages);
    expect(read.map(({ length }) => length)).toEqual([500, 500, 100]);
    expect(read.flat().map(({ key }) => key)).toEqual(names);
    const rest = copy.select('content', 'default', parseFilters(['digest~=k']), names[600]);
    if (rest === 'stale') throw new Error('stale');
    expect((await Array.fromAsync(rest)).flat().map(({ key }) => key)).toEqual(names.slice(600));
  });

  it('leaves to the owner what is not known for sure', async () => {
    const copy = syncedCopy();
    copy.apply([content('a', 1n, { colour: 'red' })]);
    const isStale = () => copy.select('content', 'default', parseFilters(['labels.colour==red'])) === 'stale';
    const heard = copy.expectNew('content', 'default');
    expect(isStale()).toBe(true);
    heard();
    expect(isStale()).toBe(false);
    // A change whose value was too large to be told: the labels may be others now.
    const untold = create(RecordSchema, { kind: 'content', namespace: 'default', key: 'a', revision: 2n });
    copy.apply([untold]);
    expect(isStale()).toBe(true);
    expect(copy.lastKnown.select('content', 'default', parseFilters([]))).not.toBe('stale');
  });

  it('keeps no entries of records that are gone', () => {
    const database = openCopyDatabase(':memory:', 'n1');
    const labels = new LabelIndex(database);
    database.exec(`INSERT INTO record (id, kind, namespace, key, revision, deleted, deleting, stale, value, seen, applied_ms)
      VALUES (7, 'content', 'default', 'a', 1, 0, 0, 0, x'', 0, 0)`);
    labels.put(7, 'content', 'default', { labels: { a: '1' }, fields: {} });
    labels.put(7, 'content', 'default', { labels: { b: '2' }, fields: {} });
    expect(labels.find('content', 'default', parseFilters(['labels.a==1']))).toEqual([]);
    expect(labels.find('content', 'default', parseFilters(['labels.b==2']))).toEqual([7]);
    database.exec('DELETE FROM record');
    expect(database.prepare('SELECT count(*) AS n FROM record_label').get()).toEqual({ n: 0 });
    database.close();
  });
});
