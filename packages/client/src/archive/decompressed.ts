import { pipeline } from 'node:stream';
import { constants, createGunzip, createZstdDecompress } from 'node:zlib';
import { invalidArgument, messageOf } from '@longshore/errors';

const GZIP_MAGIC = Buffer.from([0x1f, 0x8b, 0x08]);
const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const LONGEST_MAGIC_BYTES = 4;
/** Frames may ask for a window of 128 MiB, as `zstd -d` allows by itself; no more. */
const MAX_ZSTD_WINDOW_LOG = 27;

/** Bytes that may be compressed by gzip or zstd, which the first ones tell. Throws InvalidArgument for a damaged stream. */
export async function* decompressed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const { head, rest } = await peek(source);
  const decoder = decoderOf(head);
  if (!decoder) {
    yield* rest;
    return;
  }
  pipeline(rest, decoder, () => {
    // Both ends fail together, and the loop below throws what failed.
  });
  try {
    yield* decoder;
  } catch (error) {
    const isDamage =
      error instanceof Error && 'code' in error && /^(Z|ZSTD|ERR_ZSTD)_/.test(String(error.code));
    throw isDamage ? invalidArgument(`archive is damaged: ${messageOf(error)}`, { cause: error }) : error;
  } finally {
    decoder.destroy();
  }
}

/** The compression that a blob's first bytes tell. */
export function compressionOf(head: Buffer): 'gzip' | 'zstd' | 'none' {
  if (head.subarray(0, GZIP_MAGIC.length).equals(GZIP_MAGIC)) return 'gzip';
  return head.subarray(0, ZSTD_MAGIC.length).equals(ZSTD_MAGIC) ? 'zstd' : 'none';
}

function decoderOf(head: Buffer) {
  switch (compressionOf(head)) {
    case 'gzip':
      return createGunzip();
    case 'zstd':
      return createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: MAX_ZSTD_WINDOW_LOG } });
    default:
      return undefined;
  }
}

/** The first few bytes, and all of them again. */
async function peek(
  source: AsyncIterable<Uint8Array>,
): Promise<{ head: Buffer; rest: AsyncGenerator<Buffer> }> {
  const chunks = source[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < LONGEST_MAGIC_BYTES) {
    const next = await chunks.next();
    if (next.done) break;
    head = Buffer.concat([head, next.value]);
  }
  const rest = async function* () {
    try {
      if (head.length > 0) yield head;
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
        yield Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
      }
    } finally {
      await chunks.return?.();
    }
  };
  return { head, rest: rest() };
}
