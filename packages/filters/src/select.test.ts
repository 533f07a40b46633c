import { isKind } from '@longshore/errors';
import { describe, expect, it } from 'vitest';
import { objectAdaptor } from './adaptor.ts';
import { parseFilters } from './filter.ts';
import { inBlocks, selectFrom } from './select.ts';

async function* pagesOf(...pages: string[][]) {
  yield* pages;
}

const adaptorOf = (name: string) => objectAdaptor({ name });

describe('selectFrom', () => {
  it('gives what matches, in order, across pages', async () => {
    const chosen = selectFrom(parseFilters(['name~=^b']), pagesOf(['a', 'b1'], [], ['b2']), adaptorOf);
    expect(await Array.fromAsync(chosen)).toEqual(['b1', 'b2']);
  });

  it('lets others have their turn while nothing matches', async () => {
    let isOver = false;
    let turns = 0;
    const count = () => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    const slowly = (name: string) => {
      for (const ends = performance.now() + 1; performance.now() < ends; );
      return adaptorOf(name);
    };
    const page = Array.from({ length: 100 }, (_, n) => `a${n}`);
    expect(await Array.fromAsync(selectFrom(parseFilters(['name==b']), pagesOf(page), slowly))).toEqual([]);
    isOver = true;
    expect(turns).toBeGreaterThan(1);
  });
});

describe('inBlocks', () => {
  it('fills blocks, and gives the rest', async () => {
    const objects = selectFrom(parseFilters([]), pagesOf(['a', 'b'], ['c']), adaptorOf);
    expect(await Array.fromAsync(inBlocks(objects, 2))).toEqual([['a', 'b'], ['c']]);
  });
});

describe('regular expressions of filters', () => {
  it.each([
    ['a class of expressions that backtracking never ends', '(x+x+)+y', 'x'.repeat(5000)],
    ['one with many ways to match nothing', '(((a|b)*)*)*c', 'ab'.repeat(2000)],
    ['one with many optional parts', '(a?){500}a{500}c', 'a'.repeat(4096)],
  ])('take time in proportion to the value: %s', (_, expression, value) => {
    const filter = parseFilters([`name~="${expression}"`]);
    const started = performance.now();
    expect(filter.matches(adaptorOf(value))).toBe(false);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it.each([
    ['(?=a)', 'a look-ahead'],
    ['(a)\\\\1', 'a back reference'],
    ['a{1001}', 'a repeat above a thousand'],
    ['((a{100}){100}){100}', 'nested repeats above a thousand'],
    ['a**', 'what is no expression'],
  ])('match nothing when they are none of RE2: %s, %s', (expression) => {
    expect(parseFilters([`name~="${expression}"`]).matches(adaptorOf('aa'))).toBe(false);
  });

  it('are refused when they are too large', () => {
    for (const expression of ['a'.repeat(20_000), '(?:.{1000}){1}'.repeat(20)]) {
      try {
        parseFilters([`name~="${expression}"`]);
        expect.unreachable();
      } catch (error) {
        expect(isKind(error, 'InvalidArgument')).toBe(true);
      }
    }
  });
});
