import { describe, expect, it } from 'vitest';
import { chainOf } from './part-chain.ts';
import { parsePart, partKey } from './part-names.ts';
import { MAX_BLOB_BYTES, MAX_PARTS, partSizeBytes, WRITER_BUDGET_BYTES } from './part-sizes.ts';

/** `epoch.run start-end` */
function part(text: string) {
  const [, epoch = '', run = '', start = '', end = ''] = /(\d+)\.(\d+) (\d+)-(\d+)/.exec(text) ?? [];
  const name = { epoch: BigInt(epoch), run: Number(run), start: Number(start), end: Number(end) };
  return { key: text, ...name };
}

const chain = (keepBytes: number, ...parts: string[]) =>
  chainOf(parts.map(part), keepBytes).map(({ key, start, end }) => `${key} [${start},${end})`);

describe('chainOf', () => {
  it('puts the parts of one writer together, up to what is kept', () => {
    expect(chain(15, '1.0 0-10', '1.0 10-20')).toEqual(['1.0 0-10 [0,10)', '1.0 10-20 [0,5)']);
  });

  it('prefers the longest of those that begin alike, and goes on with short ones', () => {
    expect(chain(14, '1.0 0-3', '1.0 0-10', '1.0 3-5', '1.0 10-12', '1.0 12-14')).toEqual([
      '1.0 0-10 [0,10)',
      '1.0 10-12 [0,2)',
      '1.0 12-14 [0,2)',
    ]);
  });

  it('ends where something is missing', () => {
    expect(chain(30, '1.0 0-10', '1.0 20-30')).toEqual(['1.0 0-10 [0,10)']);
    expect(chain(30)).toEqual([]);
  });

  it('gives a later writer all from where it took over, whatever the earlier one stores after that', () => {
    expect(chain(30, '1.0 0-10', '1.0 10-20', '1.0 20-30', '2.0 15-30')).toEqual([
      '1.0 0-10 [0,10)',
      '1.0 10-20 [0,5)',
      '2.0 15-30 [0,15)',
    ]);
  });

  it('finds what several writers have left, in the order of their epochs', () => {
    expect(chain(40, '10.0 30-40', '9.0 20-40', '2.0 10-40', '1.0 0-40')).toEqual([
      '1.0 0-40 [0,10)',
      '2.0 10-40 [0,10)',
      '9.0 20-40 [0,10)',
      '10.0 30-40 [0,10)',
    ]);
  });

  it('has no part of what was before a truncation', () => {
    expect(chain(20, '1.0 0-10', '1.0 10-20', '1.1 10-20')).toEqual([]);
    expect(chain(20, '1.0 0-20', '1.1 0-10', '2.0 10-20')).toEqual(['1.1 0-10 [0,10)', '2.0 10-20 [0,10)']);
  });
});

describe('names of parts', () => {
  it('say all that the bytes depend on', () => {
    const name = { epoch: 12n, run: 1, start: 8388608, end: 8388611 };
    const key = partKey('p/ingests/u/', name);
    expect(key).toBe('p/ingests/u/12.1/000000008388608-3');
    expect(parsePart({ key, sizeBytes: 3 })).toEqual({ key, ...name });
    expect(parsePart({ key, sizeBytes: 2 })).toBeUndefined();
    expect(parsePart({ key: 'p/ingests/u/other', sizeBytes: 2 })).toBeUndefined();
  });
});

describe('sizes of parts', () => {
  it('hold more than 50 GB, and never more in memory than a writer may', () => {
    const sizes = Array.from({ length: MAX_PARTS }, (_, index) => partSizeBytes(index) ?? 0);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(MAX_BLOB_BYTES);
    expect(MAX_BLOB_BYTES).toBeGreaterThan(50e9);
    expect(Math.max(...sizes)).toBeLessThan(WRITER_BUDGET_BYTES);
    expect(partSizeBytes(MAX_PARTS)).toBeUndefined();
  });
});
