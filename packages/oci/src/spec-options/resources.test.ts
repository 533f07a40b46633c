import { describe, expect, it } from 'vitest';
import {
  withCpuCount,
  withCpuShares,
  withMemoryLimit,
  withMemorySwap,
  withPidsLimit,
  withResources,
} from './resources.ts';
import { applySpecOptions, type SpecOption } from './spec-option.ts';

function resourcesAfter(...options: SpecOption[]) {
  return applySpecOptions({ ociVersion: '1.1.0' }, ...options).linux?.resources;
}

describe('resources', () => {
  it('are added to one another, field by field', () => {
    const limits = [withMemoryLimit(2 ** 28), withMemorySwap(-1), withCpuShares(512), withCpuCount(1.5)];
    expect(resourcesAfter(...limits, withPidsLimit(100))).toEqual({
      memory: { limit: 268435456, swap: -1 },
      cpu: { shares: 512, quota: 150_000, period: 100_000 },
      pids: { limit: 100 },
    });
  });

  it('of other kinds take the place of what was there', () => {
    const before = withResources({ unified: { a: '1' }, memory: { limit: 1 } });
    expect(resourcesAfter(before, withResources({ unified: { b: '2' }, memory: { limit: 2 } }))).toEqual({
      unified: { b: '2' },
      memory: { limit: 2 },
    });
  });
});
