import { describe, expect, it } from 'vitest';
import { CollectionBatch } from './collection-batch.ts';

describe('CollectionBatch', () => {
  it('grows while batches are quick, step by step, and shrinks at once when one is slow', () => {
    const batch = new CollectionBatch();
    batch.took(100, 5);
    expect(batch.size).toBe(200);
    batch.took(200, 5);
    expect(batch.size).toBe(400);
    batch.took(400, 60);
    expect(batch.size).toBe(100);
  });

  it('stays within its bounds', () => {
    const batch = new CollectionBatch();
    for (let n = 0; n < 10; n++) batch.took(batch.size, 0);
    expect(batch.size).toBe(1000);
    batch.took(1000, 60_000);
    expect(batch.size).toBe(20);
  });

  it('rests after a batch for longer than it took, and never for very long', () => {
    const batch = new CollectionBatch();
    expect(batch.restMs).toBe(0);
    batch.took(100, 10);
    expect(batch.restMs).toBe(30);
    batch.took(100, 5000);
    expect(batch.restMs).toBe(60);
  });
});
