import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { LayerCompression } from '@longshore/oci';
import { describe, expect, it } from 'vitest';
import { decompress } from './decompress.ts';

const text = Buffer.from('some bytes, compressed '.repeat(10_000));
const half = text.length / 2;

async function run(
  data: Buffer,
  compression: LayerCompression,
  chunkBytes = data.length || 1,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let offset = 0; offset < data.length; offset += chunkBytes) {
    chunks.push(data.subarray(offset, offset + chunkBytes));
  }
  return buffer(decompress(Readable.from(chunks), compression));
}

const skippable = Buffer.concat([Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 5, 0, 0, 0]), Buffer.from('index')]);

const streams: [string, Buffer][] = [
  ['gzip', gzipSync(text)],
  ['gzip of two members', Buffer.concat([gzipSync(text.subarray(0, half)), gzipSync(text.subarray(half))])],
  ['zstd', zstdCompressSync(text)],
  [
    'zstd of many frames',
    Buffer.concat([
      skippable,
      ...Array.from({ length: 10 }, (_, index) =>
        zstdCompressSync(text.subarray((text.length / 10) * index, (text.length / 10) * (index + 1))),
      ),
      skippable,
      zstdCompressSync(Buffer.alloc(0)),
    ]),
  ],
  ['no compression', text],
];

describe('decompress', () => {
  it.each(streams)('detects %s, whatever the media type said of compression', async (_, data) => {
    for (const compression of ['gzip', 'zstd', 'detect'] as const) {
      expect((await run(data, compression)).equals(text)).toBe(true);
    }
    for (const chunkBytes of [1, 3, 1000]) {
      const some = data === text ? data.subarray(0, 5000) : data;
      const expected = data === text ? some : text;
      if (some.length / chunkBytes < 20_000)
        expect((await run(some, 'detect', chunkBytes)).equals(expected)).toBe(true);
    }
  });

  it('leaves a stream alone whose media type says that it is not compressed', async () => {
    const data = gzipSync(text);
    expect((await run(data, 'none')).equals(data)).toBe(true);
  });

  it('takes an empty stream for an empty one', async () => {
    expect(await run(Buffer.alloc(0), 'gzip')).toEqual(Buffer.alloc(0));
  });

  it.each([
    ['a gzip stream that was cut', gzipSync(text).subarray(0, -10)],
    [
      'a gzip stream with a wrong checksum',
      Buffer.concat([gzipSync(text).subarray(0, -8), Buffer.alloc(8, 1)]),
    ],
    ['a gzip stream with rubbish behind', Buffer.concat([gzipSync(text), Buffer.from('rubbish')])],
    ['a zstd stream that was cut', zstdCompressSync(text).subarray(0, -10)],
    ['a zstd stream with rubbish behind', Buffer.concat([zstdCompressSync(text), Buffer.from('rubbish')])],
    ['a zstd stream with a damaged block', zstdCompressSync(text).fill(0xff, 20, 40)],
  ])('refuses %s', async (_, data) => {
    await expect(run(data, 'detect')).rejects.toMatchObject({ kind: 'InvalidArgument' });
  });

  it('passes an error of its source on as it is', async () => {
    const broken = async function* () {
      yield gzipSync(text).subarray(0, 100);
      throw new Error('connection lost');
    };
    await expect(buffer(decompress(broken(), 'gzip'))).rejects.toThrow('connection lost');
  });

  it('closes its source when its reader stops early', async () => {
    const source = Readable.from([gzipSync(Buffer.alloc(10_000_000)), Buffer.alloc(10)]);
    for await (const chunk of decompress(source, 'gzip')) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    expect(source.destroyed).toBe(true);
  });
});
