import { describe, expect, it } from 'vitest';
import { jsonMembers } from './json-members.ts';

const keysOf = (source: string, at?: number) => Array.from(jsonMembers(source, at), ({ key }) => key);

describe('jsonMembers', () => {
  it('shows every key of one object, repeated ones too, and none of what is inside', () => {
    const source = ' {"a": {"b": [{"c": 1}, "d"]}, "a":"x,\\"y\\":{", "e\\u0066" :[], "\\\\":null } ';
    expect(keysOf(source)).toEqual(['a', 'a', 'ef', '\\']);
    const [first, second] = jsonMembers(source);
    expect(keysOf(source, first?.valueAt)).toEqual(['b']);
    expect(keysOf(source, second?.valueAt)).toEqual([]);
  });

  it('has nothing to show of another value', () => {
    for (const source of ['[{"a":1}]', '"{"', 'null', '{}']) expect(keysOf(source)).toEqual([]);
  });
});
