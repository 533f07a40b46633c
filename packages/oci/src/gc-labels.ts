import type { Labels } from './labels.ts';

/** Labels that speak to the garbage collector. Source: containerd core/metadata/gc.go. */
export const GcLabel = {
  /** An RFC 3339 time, on leases and images: collectable from then on. */
  Expire: 'containerd.io/gc.expire',
  /** On a lease, any value: its resources are kept without what their labels refer to. */
  Flat: 'containerd.io/gc.flat',
} as const;

/** Go's RFC 3339: `T`, seconds, and a zone are required; a fraction is allowed. */
const RFC3339 = /^\d{4}-\d{2}-(\d{2})T\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:\d{2})$/;

/** When the label {@link GcLabel.Expire} lets a record go; `undefined` without one, or when it cannot be read. */
export function expiryOf(labels: Readonly<Labels>): Date | undefined {
  const text = labels[GcLabel.Expire];
  const match = text === undefined ? null : RFC3339.exec(text);
  if (!text || !match) return undefined;
  const time = new Date(text.replace(',', '.'));
  // The 31st of a shorter month is taken for the next month's first; such a date does not exist.
  const localDay = /^\d{4}-\d{2}-\d{2}/.exec(text)?.[0];
  const exists =
    localDay !== undefined && new Date(`${localDay}T00:00:00Z`).getUTCDate() === Number(match[1]);
  return exists && !Number.isNaN(time.getTime()) ? time : undefined;
}
