import { vi } from 'vitest';

/** The second that vitest itself gives is soon over on a machine that is busy with other tests. */
const PATIENCE_MS = 20_000;

const { waitFor, waitUntil } = vi;

vi.waitFor = (callback, options) => waitFor(callback, patient(options));
vi.waitUntil = (callback, options) => waitUntil(callback, patient(options));

function patient<O extends { timeout?: number }>(options: number | O | undefined) {
  if (typeof options === 'number') return options;
  return { timeout: PATIENCE_MS, ...options };
}
