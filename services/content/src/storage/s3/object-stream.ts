import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RetryPolicy, retryDelayMs } from '@longshore/errors';
import type { ObjectRange, S3Bucket } from './s3-bucket.ts';
import { fromS3Error, S3TimeoutError } from './s3-error.ts';

/** Of attempts that brought nothing; one that brought something begins the count anew. */
const RETRY: RetryPolicy = { initialDelayMs: 100, maxDelayMs: 3000, attempts: 6 };

/**
 * Bytes of an object, by as few requests as it takes: one that is cut, or hangs for `timeoutMs` while its bytes are waited for,
 * is followed by one for the rest. Ends with the last byte of the range, or throws as the bucket does.
 */
export async function* streamObject(
  bucket: S3Bucket,
  range: ObjectRange,
  timeoutMs: number,
): AsyncGenerator<Uint8Array> {
  let position = range.start;
  for (let attempt = 1; position < range.end; attempt++) {
    const response = await bucket.get({ ...range, start: position });
    try {
      for await (const chunk of withTimeout(response, timeoutMs)) {
        position += chunk.byteLength;
        attempt = 0;
        yield chunk;
      }
    } catch (error) {
      if (attempt >= RETRY.attempts) throw fromS3Error(error, `object ${range.key}`);
    } finally {
      response.destroy();
    }
    if (position >= range.end) return;
    if (attempt >= RETRY.attempts) throw fromS3Error(new Error('answers are cut'), `object ${range.key}`);
    await sleep(retryDelayMs(RETRY, Math.max(1, attempt)));
  }
}

/** Time counts only while somebody waits for bytes. */
async function* withTimeout(response: IncomingMessage, timeoutMs: number): AsyncGenerator<Uint8Array> {
  const chunks = response[Symbol.asyncIterator]();
  for (;;) {
    const timer = setTimeout(() => response.destroy(new S3TimeoutError('body of an answer')), timeoutMs);
    try {
      const { value, done } = await chunks.next();
      if (done) return;
      clearTimeout(timer);
      yield value;
    } finally {
      clearTimeout(timer);
    }
  }
}
