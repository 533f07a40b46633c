import { pipeline } from 'node:stream';
import { constants, createGunzip, createZstdDecompress } from 'node:zlib';
import { LongshoreError, messageOf } from '@longshore/errors';
import type { LayerCompression } from '@longshore/oci';
import type { Archive } from './archive.ts';
import { archiveError } from './tar/archive-error.ts';
import { splitZstdFrames } from './zstd-frames.ts';

/** Uncompressed bytes are handled in pieces of this size: large enough that the cost of each does not count. */
const CHUNK_BYTES = 256 * 1024;

/** Frames may ask for a window of 128 MiB, as `zstd -d` allows by itself and `zstd --ultra -22` makes; no more. */
const MAX_ZSTD_WINDOW_LOG = 27;

const GZIP_MAGIC = Buffer.from([0x1f, 0x8b, 0x08]);
const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
/** Whether this is how a gzip stream begins. */
export function isGzip(head: Buffer): boolean {
  return startsWith(head, GZIP_MAGIC);
}

/** The first of sixteen, which differ in their lowest half byte. */
const ZSTD_SKIPPABLE_MAGIC = Buffer.from([0x50, 0x2a, 0x4d, 0x18]);
const LONGEST_MAGIC_BYTES = 4;

/** A layer that comes as a stream. */
export class DecompressedStream implements Archive {
  compressedBytes = 0;
  private readonly source: AsyncIterable<Buffer>;
  private readonly compression: LayerCompression;

  constructor(source: AsyncIterable<Buffer>, compression: LayerCompression) {
    this.source = source;
    this.compression = compression;
  }

  [Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    return decompress(this.counted(), this.compression);
  }

  private async *counted(): AsyncGenerator<Buffer> {
    for await (const chunk of this.source) {
      this.compressedBytes += chunk.length;
      yield chunk;
    }
  }
}

/**
 * The layer's tar stream. What a media type says of gzip or zstd is not relied upon: as in containerd, the first bytes
 * decide, unless the type says that there is no compression.
 * Throws InvalidArgument for a damaged stream; errors of `source` pass as they are.
 */
export async function* decompress(
  source: AsyncIterable<Buffer>,
  compression: LayerCompression,
): AsyncGenerator<Buffer> {
  if (compression === 'none') {
    yield* source;
    return;
  }
  const { head, rest } = await peek(source);
  const found = detect(head);
  if (found === 'none') {
    yield* rest;
    return;
  }
  const decoder =
    found === 'gzip'
      ? createGunzip({ chunkSize: CHUNK_BYTES })
      : createZstdDecompress({
          chunkSize: CHUNK_BYTES,
          params: { [constants.ZSTD_d_windowLogMax]: MAX_ZSTD_WINDOW_LOG },
        });
  pipeline(found === 'zstd' ? splitZstdFrames(rest) : rest, decoder, () => {
    // Both ends fail together, and the loop below throws what failed.
  });
  try {
    yield* decoder;
  } catch (error) {
    throw isDecoderError(error) ? archiveError(`damaged ${found} stream: ${messageOf(error)}`) : error;
  } finally {
    decoder.destroy();
  }
}

function isDecoderError(error: unknown): boolean {
  if (error instanceof LongshoreError || !(error instanceof Error)) return false;
  return 'code' in error && /^(Z|ZSTD|ERR_ZSTD)_/.test(String(error.code));
}

function detect(head: Buffer): 'none' | 'gzip' | 'zstd' {
  if (isGzip(head)) return 'gzip';
  if (startsWith(head, ZSTD_MAGIC)) return 'zstd';
  if (head.length === 0) return 'none';
  const skippable = Buffer.from(head);
  skippable[0]! &= 0xf0;
  return startsWith(skippable, ZSTD_SKIPPABLE_MAGIC) ? 'zstd' : 'none';
}

function startsWith(head: Buffer, magic: Buffer): boolean {
  return head.subarray(0, magic.length).equals(magic);
}

/** The first bytes of a stream, and all of it again. */
async function peek(source: AsyncIterable<Buffer>): Promise<{ head: Buffer; rest: AsyncIterable<Buffer> }> {
  const iterator = source[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < LONGEST_MAGIC_BYTES) {
    const next = await iterator.next();
    if (next.done) break;
    head = Buffer.concat([head, next.value]);
  }
  return { head, rest: continueWith(head, iterator) };
}

async function* continueWith(head: Buffer, iterator: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    if (head.length > 0) yield head;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}
