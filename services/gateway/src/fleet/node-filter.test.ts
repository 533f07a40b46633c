import { objectAdaptor, parseFilters } from '@longshore/filters';
import { describe, expect, it } from 'vitest';
import { splitFilters } from './node-filter.ts';

describe('splitFilters', () => {
  it('passes on as they are filters that do not ask for a node', () => {
    const filters = ['id~="a b"', 'labels."x"==y,image'];
    expect(splitFilters(filters)('n1')).toBe(filters);
    expect(splitFilters([])('n1')).toEqual([]);
  });

  it('leaves out nodes that can have no match', () => {
    const one = splitFilters(['labels."longshore.io/node"==n1']);
    expect(one('n1')).toEqual([]);
    expect(one('n2')).toBeUndefined();
    expect(splitFilters(['labels."longshore.io/node"~="^n[12]$"'])('n2')).toEqual([]);
    expect(splitFilters(['labels."longshore.io/node"!=n1'])('n1')).toBeUndefined();
    expect(splitFilters(['labels."longshore.io/node"'])('n1')).toEqual([]);
  });

  it('asks each node for the rest only', () => {
    const split = splitFilters(['labels."longshore.io/node"==n1,id==a', 'labels."k/\\"x"~="\\\\d+"']);
    expect(split('n2')).toHaveLength(1);
    const matches = (node: string, id: string, label: string) =>
      parseFilters(split(node)!).matches(objectAdaptor({ id }, { 'k/"x': label }));
    expect(matches('n1', 'a', '')).toBe(true);
    expect(matches('n2', 'a', '')).toBe(false);
    expect(matches('n2', 'a', '7')).toBe(true);
    expect(splitFilters(['labels."longshore.io/node"==n1', 'id==a'])('n1')).toEqual([]);
  });

  it('refuses what is no filter', () => {
    expect(() => splitFilters(['id=='])).toThrow(/filters: parse error.*invalid argument/);
  });
});
