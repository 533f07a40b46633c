import { setTimeout as delay } from 'node:timers/promises';
import {
  isKind,
  LongshoreError,
  messageOf,
  type RetryPolicy,
  retryDelayMs,
  unavailable,
} from '@longshore/errors';
import { type Expected, Verifier } from './verified.ts';

/** A stream of bytes that may have begun earlier than asked: a server may not know ranges. */
export interface Opened {
  /** At or before where it was asked to begin. */
  startBytes: number;
  bytes: AsyncIterable<Uint8Array>;
}

export interface ResumeOptions {
  /** Whose bytes, for errors: `registry "host"`. */
  subject: string;
  expected: Expected;
  /** Begins to read at an offset. What it throws is final. */
  open(offsetBytes: number): Promise<Opened>;
  signal?: AbortSignal | undefined;
  retry?: RetryPolicy;
}

/** Attempts without a byte between them. */
const RETRY: RetryPolicy = { initialDelayMs: 200, maxDelayMs: 4_000, attempts: 5 };

/**
 * The bytes of a blob, verified, however often the connection is cut: each time it goes on where the last one ended.
 * The last chunk comes only after everything was found to be right. Throws DataLoss for wrong bytes, Unavailable
 * when the connection is cut again and again without a byte between.
 */
export async function* readResumed(options: ResumeOptions): AsyncGenerator<Buffer> {
  const { subject, expected, signal, retry = RETRY } = options;
  const verifier = new Verifier(subject, expected);
  if (verifier.isWhole) return;
  for (let failures = 0; ; ) {
    const before = verifier.positionBytes;
    const { startBytes, bytes } = await options.open(before);
    const cut = yield* readOne(verifier, startBytes, bytes, signal);
    if (verifier.isWhole) return;
    failures = verifier.positionBytes > before ? 1 : failures + 1;
    if (failures >= retry.attempts) {
      throw unavailable(`blob ${expected.digest}: ${subject} ends the stream: ${messageOf(cut ?? 'early')}`, {
        cause: cut,
      });
    }
    await delay(retryDelayMs(retry, failures), undefined, signal ? { signal } : {});
  }
}

/** Answers the error of a stream that was cut, and nothing for one that came to its end. */
async function* readOne(
  verifier: Verifier,
  startBytes: number,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, unknown> {
  let skipBytes = verifier.positionBytes - startBytes;
  const source = bytes[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await source.next().catch((error: unknown) => ({ cut: error }));
      signal?.throwIfAborted();
      if ('cut' in next) return orFinal(next.cut);
      if (next.done) return undefined;
      const chunk = next.value.subarray(Math.min(skipBytes, next.value.byteLength));
      skipBytes -= next.value.byteLength - chunk.byteLength;
      if (chunk.byteLength === 0) continue;
      verifier.push(chunk);
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    }
  } finally {
    await source.return?.()?.catch(() => undefined);
  }
}

/** A refusal by whoever sends is no connection that was cut. */
function orFinal(cut: unknown): unknown {
  if (cut instanceof LongshoreError && !isKind(cut, 'Unavailable')) throw cut;
  return cut;
}
