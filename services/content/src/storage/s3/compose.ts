import type { Body, ObjectRange, S3Bucket, UploadedPart } from './s3-bucket.ts';

/** Requests of one composition at a time. */
const PARALLEL = 8;

/** What an object is made of, in order. All but the last part have at least 5 MiB. */
export interface Composition {
  readonly sources: readonly ObjectRange[];
  /** Bytes that are not stored yet; may be empty. */
  readonly tail: Body;
  readonly sizeBytes: number;
}

/**
 * Makes one object of others, by copies within the store. It appears as a whole or not at all; when this process ends in
 * between, an upload that was not completed stays. Throws NotFound when a source is not there.
 */
export async function composeObject(bucket: S3Bucket, key: string, composition: Composition): Promise<void> {
  const { sources, tail, sizeBytes } = composition;
  const id = await bucket.startUpload(key);
  const uploads = sources.map((source, index) => () => bucket.copyPart(key, id, index + 1, source));
  if (tail.length > 0) uploads.push(() => bucket.uploadPart(key, id, sources.length + 1, tail));
  try {
    await bucket.completeUpload(key, id, await allOf(uploads), sizeBytes);
  } catch (error) {
    await bucket.abortUpload(key, id).catch(() => undefined);
    throw error;
  }
}

/** A few at a time. After a failure none is begun, and those under way are waited for. */
async function allOf(uploads: readonly (() => Promise<UploadedPart>)[]): Promise<UploadedPart[]> {
  const parts: UploadedPart[] = [];
  let next = 0;
  let failure: { error: unknown } | undefined;
  const work = async () => {
    while (next < uploads.length && !failure) {
      const index = next++;
      try {
        parts[index] = await uploads[index]!();
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  if (failure) throw failure.error;
  return parts;
}
