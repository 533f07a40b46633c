import { listPartOf } from '@longshore/kit';
import { describe, expect, it } from 'vitest';
import { forPage, pageOf, toCursor } from './page.ts';

const keyOf = (name: string) => [name];

async function* shuffled(names: readonly string[]) {
  yield* names.toSorted(() => Math.random() - 0.5);
}

describe('forPage', () => {
  it('asks for no more than the page can be made of', () => {
    const call = { headers: { a: 'b' } as Record<string, string>, signal: new AbortController().signal };
    const { headers } = forPage(call, { limit: 5, cursor: toCursor(['é/x', 'n1']) }, 2);
    // The item at the cursor, and the one behind the page.
    expect(listPartOf((name) => headers[name])).toEqual({ from: 'é/x', limit: 7 });
    expect(headers).toMatchObject(call.headers);
    expect(() => forPage(call, { limit: 5, cursor: toCursor(['x']) }, 2)).toThrow('cursor');
  });
});

describe('pageOf', () => {
  it('has every item once, in byte order, whatever order they come in', async () => {
    const names = [...Array.from({ length: 500 }, (_, n) => `n${n}`), 'ä', '\u{1F600}', '\uFFFD'];
    const seen: string[] = [];
    let cursor: string | null | undefined;
    while (cursor !== null) {
      const page = await pageOf(shuffled(names), keyOf, { limit: 7, ...(cursor && { cursor }) });
      seen.push(...page.items);
      cursor = page.next_cursor;
    }
    expect(seen).toEqual(names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
  });

  it('ends with the last item, not with an empty page behind it', async () => {
    expect(await pageOf(['b', 'a'], keyOf, { limit: 2 })).toEqual({ items: ['a', 'b'], next_cursor: null });
  });

  it('refuses a cursor that is of another list, or of none', async () => {
    const { next_cursor: cursor } = await pageOf(['a', 'b'], keyOf, { limit: 1 });
    for (const wrong of [cursor!, 'x', '', Buffer.from('[1,2]').toString('base64url')]) {
      await expect(pageOf([['a', 'b']], (key) => key, { limit: 1, cursor: wrong }, 2)).rejects.toThrow(
        'query parameter "cursor" is of no answer of this list',
      );
    }
  });
});
