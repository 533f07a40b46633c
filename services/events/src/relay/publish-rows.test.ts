import { describe, expect, it } from 'vitest';
import type { OutboxRow } from '../storage/postgres/outbox-repository.ts';
import { publishRows, safeRows } from './publish-rows.ts';

const ALWAYS = () => true;

function row(seq: number, partition: number, subject: string, isSafe = true): OutboxRow {
  return {
    seq: BigInt(seq),
    id: `id-${seq}`,
    partition,
    isSafe,
    namespace: 'default',
    node: '_',
    topic: '/a',
    subject,
    revision: 0n,
    typeUrl: '',
    payload: new Uint8Array(),
    createdAtUs: 0n,
  };
}

const seqsOf = (rows: { seq: bigint }[]): number[] => rows.map(({ seq }) => Number(seq));

/** Publishes into memory; each call is answered when the test says so. */
class ManualStream {
  readonly sent: number[] = [];
  readonly #answers = new Map<number, PromiseWithResolvers<{ seq: bigint; isDuplicate: boolean }>>();

  publish = (sentRow: OutboxRow) => {
    const answer = Promise.withResolvers<{ seq: bigint; isDuplicate: boolean }>();
    this.sent.push(Number(sentRow.seq));
    this.#answers.set(Number(sentRow.seq), answer);
    return answer.promise;
  };

  async acknowledge(...seqs: number[]): Promise<void> {
    for (const seq of seqs) this.#answers.get(seq)!.resolve({ seq: BigInt(seq) * 10n, isDuplicate: false });
    await new Promise(setImmediate);
  }

  async fail(seq: number): Promise<void> {
    this.#answers.get(seq)!.reject(new Error(`no ${seq}`));
    await new Promise(setImmediate);
  }
}

describe('publishRows', () => {
  it('sends rows about different things at once, rows about the same thing one after the other', async () => {
    const stream = new ManualStream();
    const result = publishRows(
      [row(1, 0, 'a'), row(2, 0, 'b'), row(3, 0, 'a'), row(4, 0, 'a')],
      stream.publish,
      ALWAYS,
    );
    expect(stream.sent).toEqual([1, 2]);
    await stream.acknowledge(1);
    expect(stream.sent).toEqual([1, 2, 3]);
    await stream.acknowledge(2, 3);
    await stream.acknowledge(4);
    const { published, failed } = await result;
    expect(published.map(({ seq, streamSeq }) => [seq, streamSeq])).toEqual([
      [1n, 10n],
      [2n, 20n],
      [3n, 30n],
      [4n, 40n],
    ]);
    expect(failed.size).toBe(0);
  });

  it('stops a partition at its first failure and leaves the others alone', async () => {
    const stream = new ManualStream();
    const rows = [
      row(1, 0, 'a'),
      row(2, 0, 'b'),
      row(3, 0, 'a'),
      row(4, 0, 'b'),
      row(5, 1, 'c'),
      row(6, 1, 'c'),
    ];
    const result = publishRows(rows, stream.publish, ALWAYS);
    await stream.fail(1);
    await stream.acknowledge(2, 5);
    await stream.acknowledge(6);
    const { published, failed } = await result;
    expect(stream.sent).toEqual([1, 2, 5, 6]);
    expect(seqsOf(published)).toEqual([2, 5, 6]);
    expect([...failed.keys()]).toEqual([0]);
  });

  it('sends nothing more of a partition that is led no more, but waits for what is on its way', async () => {
    const stream = new ManualStream();
    let isLed = true;
    const rows = [row(1, 0, 'a'), row(2, 0, 'a'), row(3, 1, 'b'), row(4, 1, 'b')];
    const result = publishRows(rows, stream.publish, (partition) => partition === 1 || isLed);
    isLed = false;
    await stream.acknowledge(1, 3);
    await stream.acknowledge(4);
    expect(seqsOf((await result).published)).toEqual([1, 3, 4]);
    expect(stream.sent).toEqual([1, 3, 4]);
  });
});

describe('safeRows', () => {
  it('takes each partition up to its first unsafe row', () => {
    const rows = [
      row(1, 0, 'a'),
      row(2, 1, 'b', false),
      row(3, 0, 'c'),
      row(4, 1, 'b'),
      row(5, 0, 'a', false),
    ];
    expect(seqsOf(safeRows(rows))).toEqual([1, 3]);
  });
});
