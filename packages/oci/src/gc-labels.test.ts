import { describe, expect, it } from 'vitest';
import { expiryOf } from './gc-labels.ts';

const expiry = (text: string) => expiryOf({ 'containerd.io/gc.expire': text });

describe('expiryOf', () => {
  it('reads RFC 3339', () => {
    expect(expiry('2026-08-22T10:00:00Z')).toEqual(new Date('2026-08-22T10:00:00Z'));
    expect(expiry('2026-08-22T10:00:00.123456789+02:00')).toEqual(new Date('2026-08-22T08:00:00.123Z'));
    expect(expiry('2028-02-29T00:00:00Z')).toEqual(new Date('2028-02-29T00:00:00Z'));
  });

  it.each([
    '',
    'tomorrow',
    '2026-08-22',
    '2026-08-22T10:00Z',
    '2026-02-30T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-08-22T10:00:00',
  ])('takes %j for no expiry', (text) => {
    expect(expiry(text)).toBeUndefined();
  });

  it('knows none without the label', () => {
    expect(expiryOf({})).toBeUndefined();
  });
});
