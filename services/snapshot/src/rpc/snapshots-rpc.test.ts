import type { LongshoreError } from '@longshore/errors';
import { Kind } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Header } from '@longshore/proto/headers';
import { Kind as NewKind } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ServiceUnderTest, startSnapshotService } from '../testing/snapshot-service.ts';

const snapshotter = 'overlayfs';
const everywhere = { headers: { [Header.Namespace]: 'default' } };
const on = (node: string) => ({ headers: { ...everywhere.headers, [Header.Node]: node } });

let service: ServiceUnderTest;

beforeAll(async () => {
  service = await startSnapshotService();
  for (const [node, key] of [
    ['b', 'shared'],
    ['a', 'shared'],
    ['a', 'own'],
  ] as const) {
    await service.catalogue.prepare(
      { snapshotter, key, kind: NewKind.ACTIVE, generation: key, labels: { of: node } },
      on(node),
    );
  }
});

afterAll(() => service.close());

async function list(options: object, ...filters: string[]): Promise<string[]> {
  const found: string[] = [];
  for await (const { info } of service.snapshots.list({ snapshotter, filters }, options)) {
    found.push(...info.map((one) => `${one.labels['longshore.io/node']}/${one.name}`));
  }
  return found;
}

describe('Snapshots across nodes', () => {
  it('lists one node or all, each item labelled with its node', async () => {
    expect(await list(everywhere)).toEqual(['a/own', 'a/shared', 'b/shared']);
    expect(await list(on('b'))).toEqual(['b/shared']);
    expect(await list(everywhere, 'labels.of==a,name==shared')).toEqual(['a/shared']);
  });

  it('finds by key where that is unambiguous', async () => {
    const { info } = await service.snapshots.stat({ snapshotter, key: 'own' }, everywhere);
    expect(info).toMatchObject({
      name: 'own',
      kind: Kind.ACTIVE,
      labels: { of: 'a', 'longshore.io/node': 'a' },
    });
    expect((await service.snapshots.stat({ snapshotter, key: 'shared' }, on('b'))).info?.labels.of).toBe('b');
    const ambiguous = service.snapshots.stat({ snapshotter, key: 'shared' }, everywhere);
    await expect(ambiguous).rejects.toMatchObject({
      kind: 'InvalidArgument',
      message: expect.stringContaining('a, b'),
    });
    const missing = service.snapshots.stat({ snapshotter, key: 'nothing' }, everywhere);
    await expect(missing).rejects.toMatchObject({ kind: 'NotFound' });
  });

  it('does not pretend to make snapshots', async () => {
    const error = await service.snapshots
      .prepare({ snapshotter, key: 'k' }, on('a'))
      .catch((reason: LongshoreError) => reason);
    expect(error).toMatchObject({ kind: 'Unimplemented' });
  });
});
