import { setImmediate as nextTurn } from 'node:timers/promises';
import { isKind, messageOf } from '@longshore/errors';
import { algorithmOf, Digester } from '@longshore/oci';
import type { BlobName, BlobReader, BlobStore } from './blob-store.ts';

/** Bytes that a record says are stored. */
export interface StoredBlob extends BlobName {
  readonly sizeBytes: number;
}

/** Large enough for a request of its own to an object store, small enough to hold one. */
const READ_BYTES = 4 * 1024 * 1024;
/** Hashing so much takes about a millisecond; other calls have their turn in between. */
const HASH_BYTES = 1024 * 1024;

/** Called before so many bytes are read. */
export type BeforeRead = (lengthBytes: number) => Promise<void>;

/**
 * Reads a blob whole; answers what is wrong with its bytes, or undefined. Throws what the store does when it cannot tell:
 * Unavailable says nothing of the blob.
 */
export async function findFault(
  store: BlobStore,
  blob: StoredBlob,
  beforeRead: BeforeRead,
): Promise<string | undefined> {
  try {
    await using reader = await store.open(blob);
    return sizeFault(blob, reader) ?? (await digestFault(blob, reader, beforeRead));
  } catch (error) {
    if (isKind(error, 'NotFound')) return 'bytes are missing';
    if (isKind(error, 'DataLoss')) return messageOf(error);
    throw error;
  }
}

export function sizeFault(blob: StoredBlob, { sizeBytes }: BlobReader): string | undefined {
  return sizeBytes === blob.sizeBytes ? undefined : `${sizeBytes} bytes, not ${blob.sizeBytes}`;
}

async function digestFault(
  blob: StoredBlob,
  reader: BlobReader,
  beforeRead: BeforeRead,
): Promise<string | undefined> {
  const digester = new Digester(algorithmOf(blob.digest));
  for (let position = 0; position < blob.sizeBytes; ) {
    const length = Math.min(READ_BYTES, blob.sizeBytes - position);
    await beforeRead(length);
    const chunk = await reader.read(position, length);
    if (chunk.byteLength === 0) return `bytes end at ${position}, not at ${blob.sizeBytes}`;
    for (let at = 0; at < chunk.byteLength; at += HASH_BYTES) {
      digester.update(chunk.subarray(at, at + HASH_BYTES));
      await nextTurn();
    }
    position += chunk.byteLength;
  }
  const found = digester.digest();
  return found === blob.digest ? undefined : `bytes have digest ${found}`;
}
