import { describe, expect, it } from 'vitest';
import {
  AnyNumber,
  Flag,
  list,
  matching,
  oneOf,
  someOf,
  Table,
  Text,
  tableOr,
  url,
  Whole,
} from './value-schema.ts';

describe('what a configuration key may hold', () => {
  it.each([
    [
      'a whole number, as text or as one',
      Whole,
      ['0', '17', 17],
      [0, 17, 17],
      ['-1', '1.5', 'x', undefined, '1e30'],
    ],
    ['a number within bounds', AnyNumber.min(0).max(1), ['0.5', 1], [0.5, 1], ['-0.1', 1.1, 'Infinity', {}]],
    ['text', Text, ['a'], ['a'], ['', 7, undefined]],
    ['a flag', Flag, [true, 'FALSE', 'on', '0'], [true, false, true, false], ['', 'maybe', 1]],
    ['one of several words', oneOf('file', 'memory'), ['file'], ['file'], ['File', '', 1]],
    ['text of a pattern', matching(/^\//, 'must begin with "/"'), ['/a'], ['/a'], ['a', 1]],
    [
      'a URL',
      url('http', 'https'),
      ['http://h', ' https://h/p '],
      ['http://h', 'https://h/p'],
      ['ftp://h', 'h', ''],
    ],
    ['a list', list(Whole), ['1,2', [3], []], [[1, 2], [3], []], ['1,x', 3, undefined]],
    ['a list with something in it', someOf(Text), ['a,b', ['c']], [['a', 'b'], ['c']], ['', 'a,', []]],
    ['a table', Table, [{ a: 'b' }], [{ a: 'b' }], [{ a: 1 }, [], null, 'a']],
    [
      'a table or its text',
      tableOr((text) => ({ text })),
      ['x', { a: 'b' }],
      [{ text: 'x' }, { a: 'b' }],
      [{ a: 1 }, 3],
    ],
  ])('is %s', (_, schema, good, read, bad) => {
    expect(good.map((raw) => schema.parse(raw))).toEqual(read);
    for (const raw of bad) expect(() => schema.parse(raw), JSON.stringify(raw)).toThrow(Error);
  });

  it('says what is wrong', () => {
    expect(() => Whole.min(100).parse('99')).toThrow('must be at least 100');
    expect(() => oneOf('file', 'memory').parse('disk')).toThrow('must be one of file, memory');
  });
});
