import { Header } from '@longshore/proto/headers';
import { describe, expect, it } from 'vitest';
import { listPartHeaders, listPartOf, WHOLE_LIST } from './list-part.ts';

const read = (headers: Record<string, string>) => listPartOf((name) => headers[name]);

describe('listPartOf', () => {
  it('reads what was asked for, whatever the name, and all without headers', () => {
    for (const from of ['', 'a/b:c', 'Ä 😀\n']) {
      expect(read(listPartHeaders({ from, limit: 7 }))).toEqual({ from, limit: 7 });
    }
    expect(read({})).toEqual(WHOLE_LIST);
    expect(read(listPartHeaders(WHOLE_LIST))).toEqual(WHOLE_LIST);
  });

  it.each([
    [Header.ListFrom, 'a b'],
    [Header.ListLimit, '0'],
    [Header.ListLimit, '-1'],
    [Header.ListLimit, 'x'],
  ])('refuses %s: %s', (name, value) => {
    expect(() => read({ [name]: value })).toThrow(/^header longshore-list-/);
  });
});
