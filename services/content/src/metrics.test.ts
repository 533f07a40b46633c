import { createMetrics } from '@longshore/kit';
import { expect, it } from 'vitest';
import { contentMetrics } from './metrics.ts';

it('shows what was verified, and the store as the database knows it', async () => {
  const metrics = createMetrics('content');
  let store: Promise<{ corrupt: number; oldestSeconds: number }> = Promise.resolve({
    corrupt: 2,
    oldestSeconds: 90,
  });
  const { health } = contentMetrics(metrics, () => store);
  health.read(1000);
  health.read(500);
  health.verified();
  health.quarantined();
  const shown = await metrics.registry.metrics();
  const valueIn = (text: string, name: string) =>
    new RegExp(`^longshore_content_${name}(?:\\{.*\\})? (\\d+)$`, 'm').exec(text)?.[1];
  expect(valueIn(shown, 'verified_bytes_total')).toBe('1500');
  expect(valueIn(shown, 'verified_blobs_total')).toBe('1');
  expect(valueIn(shown, 'quarantined_blobs_total')).toBe('1');
  expect(valueIn(shown, 'corrupt_blobs')).toBe('2');
  expect(valueIn(shown, 'oldest_verification_seconds')).toBe('90');
  store = Promise.reject(new Error('database: away'));
  const later = await metrics.registry.metrics();
  expect(valueIn(later, 'verified_bytes_total')).toBe('1500');
  expect(valueIn(later, 'corrupt_blobs')).toBeUndefined();
});
