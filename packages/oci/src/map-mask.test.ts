import { describe, expect, it } from 'vitest';
import { isMapPath, maskMap } from './map-mask.ts';

describe('maskMap', () => {
  const stored = { a: '1', 'b.c': '2' };

  it('sets one key, dots in it included, and leaves the others', () => {
    expect(maskMap('labels', stored, { 'b.c': '3', d: '4' }, ['labels.b.c'])).toEqual({ a: '1', 'b.c': '3' });
  });

  it('deletes a key that the request does not have', () => {
    expect(maskMap('labels', stored, {}, ['labels.a'])).toEqual({ 'b.c': '2' });
  });

  it('replaces the whole map by its bare name', () => {
    expect(maskMap('labels', stored, { d: '4' }, ['labels'])).toEqual({ d: '4' });
  });

  it('leaves the map alone when no path names it', () => {
    expect(maskMap('labels', stored, { d: '4' }, ['image'])).toEqual(stored);
    expect(isMapPath('labels', 'labelsx')).toBe(false);
  });
});
