import { describe, expect, it } from 'vitest';
import { parseFilters } from './filter.ts';
import { compileToSql, type SqlColumns } from './to-sql.ts';

const COLUMNS: SqlColumns = {
  texts: {
    id: { column: 'id' },
    'runtime.name': { column: 'runtime_name' },
    parent: { column: 'parent', isAlwaysPresent: true },
    image: { column: 'image', equals: (value) => `lower(image) = ${value}` },
  },
  labels: { column: 'labels', notStored: new Set(['made.up']) },
};

function compiled(...filters: string[]) {
  const parameters: unknown[] = ['first'];
  const condition = compileToSql(parseFilters(filters), COLUMNS, parameters);
  return [condition, ...parameters.slice(1)];
}

describe('compileToSql', () => {
  it.each<[string[], unknown[]]>([
    [['id==a'], ['(id = $2)', 'a']],
    [['image==a,runtime.name'], [`(lower(image) = $2 AND runtime_name <> '')`, 'a']],
    [
      ['labels.a.b==""', 'labels."c d"'],
      ['(labels @> $2 OR labels ? $3)', '{"a.b":""}', 'c d'],
    ],
    [['labels.__proto__==x'], ['(labels @> $2)', '{"__proto__":"x"}']],
    [['id==""'], ['(false)']],
    [['parent==""'], ['(parent = $2)', '']],
    [['id==a,image!=b,labels.c~=d,other==e'], ['(id = $2)', 'a']],
  ])('makes of %j what can be looked up', (filters, expected) => {
    expect(compiled(...filters)).toEqual(expected);
  });

  it.each([
    [[]],
    [['id==a', '']],
    [['id==a', 'image!=b']],
    [['labels']],
    [['parent']],
    [Array.from({ length: 501 }, (_, n) => `id==${n}`)],
    [['labels.made.up==true']],
    [['labels.made.up', 'id==a']],
    [['id=="\\x00"']],
    [['labels.a=="\\x00"']],
  ])('makes nothing of %j, for which any row may be right', (filters) => {
    expect(compiled(...filters)).toEqual([undefined]);
  });
});
