import { describe, expect, it } from 'vitest';
import type { Candidate } from './collection.ts';
import { removalOrder } from './removal-order.ts';

const record = (key: string): Candidate => ({ schema: 's', kind: 'content', key, uid: key });
const [a, b, c, d] = [record('a'), record('b'), record('c'), record('d')];
const keys = (records: Candidate[]) => records.map(({ key }) => key).join('');

describe('removalOrder', () => {
  it('keeps the order of records that do not refer to one another', async () => {
    expect(keys(await removalOrder([b, a, c], []))).toBe('bac');
  });

  it('puts a record before everything that it refers to, directly or not', async () => {
    const references = [
      { from: b, to: a },
      { from: d, to: b },
      { from: c, to: a },
    ];
    expect(keys(await removalOrder([a, b, c, d], references))).toBe('cdba');
  });

  it('puts circles last and loses none of them', async () => {
    const references = [
      { from: a, to: b },
      { from: b, to: a },
      { from: b, to: c },
      { from: d, to: d },
    ];
    expect(keys(await removalOrder([a, b, c, d], references))).toBe('dabc');
  });
});
