import { isKind } from '@longshore/errors';
import { describe, expect, it } from 'vitest';
import { objectAdaptor } from './adaptor.ts';
import { parseFilters } from './filter.ts';

const corpus = [
  { name: 'foo', other: '', labels: { foo: 'true' } },
  { name: 'bar', other: 'notpresent', labels: {} },
  { name: 'baz', other: '', labels: { bar: '' } },
  { name: 'bazo', other: '', labels: { 'very complex label': 'a,b', 'a.b/c': 'x' } },
  { name: '/tasks/exit', other: 'déjà', labels: { n: '42' } },
];

function select(...filters: string[]): string[] {
  const filter = parseFilters(filters);
  return corpus
    .filter(({ name, other, labels }) =>
      filter.matches(objectAdaptor({ name, 'other.field': other }, labels)),
    )
    .map(({ name }) => name);
}

const ALL = corpus.map(({ name }) => name);

describe('parseFilters', () => {
  it.each<[string[], string[]]>([
    [[], ALL],
    [[''], ALL],
    [['name==nobody', ''], ALL],
    [['name'], ALL],
    [['name==foo'], ['foo']],
    [
      ['name==foo', 'name==bar'],
      ['foo', 'bar'],
    ],
    [['name==foo,labels.foo'], ['foo']],
    [['name==foo,labels.bar'], []],
    [['labels.bar'], ['baz']],
    [['labels.bar==""'], ['baz']],
    [['labels.absent==""'], []],
    [['labels.foo!=true'], ['bar', 'baz', 'bazo', '/tasks/exit']],
    [['labels."very complex label"=="a,b"'], ['bazo']],
    [['labels."a.b/c"==x'], ['bazo']],
    [['labels.a."b/c"==x'], ['bazo']],
    [['labels'], []],
    [['other.field==notpresent'], ['bar']],
    [['other.field==d\u00e9j\u00e0'], ['/tasks/exit']],
    [['other.field=="d\\xc3\\xa9j\\u00e0"'], ['/tasks/exit']],
    [['"name"==foo'], ['foo']],
    [['name.more==foo'], ['foo']],
    [['other.field.more==notpresent'], ['bar']],
    [['"other.field"==notpresent'], []],
    [['other==notpresent'], []],
    [['name=="\\x66o\\157"'], ['foo']],
    [['name=="/tasks/exit"'], ['/tasks/exit']],
    [['name~=ba'], ['bar', 'baz', 'bazo']],
    [['name~=^ba.$'], ['bar', 'baz']],
    [['name~="^ba.$"'], ['bar', 'baz']],
    [['name~=/^ba[rz]$/'], ['bar', 'baz']],
    [['name~=/\\/exit$/'], ['/tasks/exit']],
    [['name~=|/exit$|'], ['/tasks/exit']],
    [['name~="(?<=b)a"'], []],
    [['name~="("'], []],
    [['labels.n~=^$'], ['foo', 'bar', 'baz', 'bazo']],
    [['name == foo, labels.foo'], ['foo']],
    [['name==foo=bar'], []],
    [['nothing'], []],
    [['nothing!=x'], ALL],
  ])('%j selects %j', (filters, names) => {
    expect(select(...filters)).toEqual(names);
  });

  it.each([
    ['name==', 'filters: parse error: [name==]: expected value or quoted: invalid argument'],
    ['name=foo', 'filters: parse error: [name >|=|< foo]: unsupported operator "=": invalid argument'],
    [
      'name foo',
      'filters: parse error: [name  >|f|< oo]: expected an operator ("=="|"!="|"~="): invalid argument',
    ],
    ['name==/x/', 'filters: parse error: [name== >|/|< x/]: invalid quote encountered: invalid argument'],
    ['name=="x', 'filters: parse error: [name== >|"|< x]: quoted literal not terminated: invalid argument'],
    ['name=="\\d"', 'filters: parse error: [name== >|"|< \\d"]: illegal escape sequence: invalid argument'],
    [
      'name=="\\777"',
      'filters: parse error: [name== >|"|< \\777"]: unquoting failed: quote syntax error: invalid argument',
    ],
    [
      'name=="\\x1"',
      'filters: parse error: [name== >|"|< \\x1"]: illegal numeric escape sequence: invalid argument',
    ],
    ['name==a ', 'filters: parse error: [name==a >| |< ]: unexpected input:  : invalid argument'],
    ['name==a b', 'filters: parse error: [name==a >| |< b]: unexpected input:  : invalid argument'],
    [
      'name ,b',
      'filters: parse error: [name  >|,|< b]: expected an operator ("=="|"!="|"~="): invalid argument',
    ],
    ['name==.a', 'filters: parse error: [name== >|.|< a]: expected value or quoted: invalid argument'],
    [',', 'filters: parse error: [ >|,|< ]: expected field or quoted: invalid argument'],
    ['name==a,', 'filters: parse error: [name==a,]: expected field or quoted: invalid argument'],
    [
      'na-me==a',
      'filters: parse error: [na >|-|< me==a]: expected an operator ("=="|"!="|"~="): invalid argument',
    ],
    ['a==b\uFFFD', 'filters: parse error: [a==b >|\uFFFD|< ]: unexpected input: \uFFFD: invalid argument'],
    ['\0', 'filters: parse error: [ >|\0|< ]: unexpected null: invalid argument'],
  ])('refuses %j', (filter, message) => {
    expect(() => parseFilters([filter])).toThrow(message);
    try {
      parseFilters(['name', filter]);
    } catch (error) {
      expect(isKind(error, 'InvalidArgument')).toBe(true);
    }
  });

  it('shows its parts as data', () => {
    expect(parseFilters(['name==foo,labels."a b"', 'id~=/x/']).alternatives).toEqual([
      [
        { path: ['name'], operator: 'equal', value: 'foo' },
        { path: ['labels', 'a b'], operator: 'present', value: '' },
      ],
      [{ path: ['id'], operator: 'matches', value: 'x' }],
    ]);
  });

  it('knows when it matches everything', () => {
    expect(parseFilters([]).matchesAll).toBe(true);
    expect(parseFilters(['a', '']).matchesAll).toBe(true);
    expect(parseFilters(['a']).matchesAll).toBe(false);
  });
});
