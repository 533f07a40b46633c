import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Caller, refusal } from '../testing/caller.ts';
import { type ServiceUnderTest, startSnapshotService } from '../testing/snapshot-service.ts';

let service: ServiceUnderTest;

beforeAll(async () => {
  service = await startSnapshotService();
});

afterAll(() => service.close());

describe('CatalogueService leases', () => {
  it('adds the key to the lease before the record is written', async () => {
    const caller = new Caller(service);
    caller.lease = 'lease-order';
    service.content.leases.set(caller.lease, new Set());
    const seen: string[][] = [];
    service.content.onAdd = async () => void seen.push(await caller.list());
    await caller.prepare('key').finally(() => {
      service.content.onAdd = undefined;
    });
    expect(seen).toEqual([[]]);
    expect([...service.content.leases.get(caller.lease)!]).toEqual(['snapshots/overlayfs key']);
    await caller.commit('name', 'key');
    expect([...service.content.leases.get(caller.lease)!]).toEqual(['snapshots/overlayfs name']);
    await caller.remove('name');
    expect(service.content.leases.get(caller.lease)!.size).toBe(0);
  });

  it('refuses a lease that does not exist and writes nothing', async () => {
    const caller = new Caller(service);
    await caller.prepare('key');
    caller.lease = 'gone';
    expect(await refusal(caller.prepare('other'))).toBe('NotFound: lease does not exist: not found');
    expect(await refusal(caller.commit('name', 'key'))).toBe('NotFound: lease does not exist: not found');
    expect(await caller.list()).toEqual(['key']);
  });

  it('keeps the target that made a snapshot needless, and not its key', async () => {
    const caller = new Caller(service);
    await caller.layer('target');
    caller.lease = 'lease-target';
    service.content.leases.set(caller.lease, new Set());
    const labels = { 'containerd.io/snapshot.ref': 'target' };
    expect(await refusal(caller.prepare('key', '', { labels }))).toMatch(/^AlreadyExists: target snapshot/);
    expect([...service.content.leases.get(caller.lease)!]).toEqual(['snapshots/overlayfs target']);
  });
});
