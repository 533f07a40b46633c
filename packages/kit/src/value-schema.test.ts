import { parse, pipe, string, transform, ValiError } from 'valibot';
import { describe, expect, it } from 'vitest';
import {
  Flag,
  list,
  oneOf,
  Table,
  Text,
  tableOr,
  type ValueSchema,
  Whole,
  wholeFrom,
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
    ['a whole number from a least one on', wholeFrom(2), ['2', 3], [2, 3], ['1', 1.5, 'Infinity', {}]],
    ['text', Text, ['a'], ['a'], ['', 7, undefined]],
    ['a flag', Flag, [true, 'FALSE', 'on', '0'], [true, false, true, false], ['', 'maybe', 1, undefined]],
    ['one of several words', oneOf('file', 'memory'), ['file'], ['file'], ['File', '', 1]],
    ['a list', list(Whole), ['1,2', [3], []], [[1, 2], [3], []], ['1,x', 3, undefined]],
    ['a table', Table, [{ a: 'b' }], [{ a: 'b' }], [{ a: 1 }, [], null, 'a']],
    [
      'a table or its text',
      tableOr(
        pipe(
          string(),
          transform((text) => ({ text })),
        ),
      ),
      ['x', { a: 'b' }],
      [{ text: 'x' }, { a: 'b' }],
      [{ a: 1 }, 3],
    ],
  ] as [string, ValueSchema<unknown>, unknown[], unknown[], unknown[]][])(
    'is %s',
    (_, schema, good, read, bad) => {
      expect(good.map((raw) => parse(schema, raw))).toEqual(read);
      for (const raw of bad) expect(() => parse(schema, raw), JSON.stringify(raw)).toThrow(ValiError);
    },
  );

  it('says what is wrong', () => {
    expect(() => parse(wholeFrom(100), '99')).toThrow('must be at least 100');
    expect(() => parse(oneOf('file', 'memory'), 'disk')).toThrow('must be one of file, memory');
    expect(() => parse(list(Whole), '1,x')).toThrow('must be a number');
    expect(() => parse(Table, [])).toThrow('must be a table');
  });
});
