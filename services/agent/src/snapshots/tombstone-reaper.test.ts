import { describe, expect, it, vi } from 'vitest';
import { newGeneration } from './layer-directories.ts';
import { layersUnderTest, log, NODE_ID } from './testing/layers-under-test.ts';
import { reapTombstones } from './tombstone-reaper.ts';

describe('reapTombstones', () => {
  it('lets a deletion that hangs, or fails, keep no other one waiting', async () => {
    const { catalogue, overlayfs } = await layersUnderTest();
    const { directories } = overlayfs;
    const layers = Array.from({ length: 10 }, () => newGeneration());
    for (const generation of layers) {
      directories.make(generation);
      catalogue.tombstones.set(generation, 'overlayfs');
    }
    const [failing, ...hanging] = layers.slice(0, 6);
    const own = directories.purge.bind(directories);
    directories.purge = async (generation) => {
      if (hanging.includes(generation)) return new Promise(() => {});
      if (generation === failing) throw new Error('the disk says no');
      await own(generation);
    };
    const options = { catalogue: catalogue.client, nodeId: NODE_ID, snapshotters: [overlayfs], log };
    const left = new Map([
      [failing, 'failed'],
      ...hanging.map((generation) => [generation, 'being deleted'] as const),
    ]);
    // On a busy machine the others may take longer than that, too.
    await vi.waitFor(async () => {
      const waiting = await reapTombstones({ ...options, patienceMs: 20 });
      expect(new Map(waiting.map(({ generation, reason }) => [generation, reason]))).toEqual(left);
    }, 20_000);
    expect(new Set(catalogue.tombstones.keys())).toEqual(new Set([failing, ...hanging]));
  });
});
