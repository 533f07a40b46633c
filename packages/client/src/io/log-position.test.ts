import { create } from '@bufbuild/protobuf';
import { OutputSchema, Stream } from '@longshore/proto/longshore/node/v1/stdio';
import { describe, expect, it } from 'vitest';
import { LogPosition } from './log-position.ts';

function take(position: LogPosition, nanos: number, text: string, stream: Stream = Stream.STDOUT): string {
  const output = create(OutputSchema, { stream, data: Buffer.from(text), time: { seconds: 1n, nanos } });
  return Buffer.from(position.take(output)).toString();
}

describe('a position in kept output', () => {
  it('lets all of a first reading through', () => {
    const position = new LogPosition();
    expect(position.isSet).toBe(false);
    expect([take(position, 1, 'a'), take(position, 1, 'b'), take(position, 2, 'c')]).toEqual(['a', 'b', 'c']);
    // A clock may be set back.
    expect(take(position, 1, 'd')).toBe('d');
    expect(position.isSet).toBe(true);
  });

  it('goes on behind the first reading in a second one, by time and by bytes, for each stream', () => {
    const position = new LogPosition();
    for (const [nanos, text] of [
      [1, 'one'],
      [2, 'tw'],
    ] as const)
      take(position, nanos, text);
    take(position, 2, 'err', Stream.STDERR);
    position.rewind();
    expect(take(position, 1, 'one')).toBe('');
    // Cut otherwise than before.
    expect(take(position, 2, 'two')).toBe('o');
    expect(take(position, 2, 'er', Stream.STDERR)).toBe('');
    expect(take(position, 2, 'ror', Stream.STDERR)).toBe('or');
    expect(take(position, 3, 'three')).toBe('three');
    // And once more from there.
    position.rewind();
    expect(take(position, 2, 'two')).toBe('');
    expect(take(position, 3, 'three')).toBe('');
    expect(take(position, 3, '!')).toBe('!');
  });
});
