import { LongshoreError } from '@longshore/errors';

/** Rejects with Canceled when the signal comes first. `name` says what was waited for. */
export async function orAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  name: string,
): Promise<T> {
  if (!signal) return work;
  const { promise, reject } = Promise.withResolvers<never>();
  const cancel = () =>
    reject(new LongshoreError('Canceled', `${name}: no longer waited for`, { cause: signal.reason }));
  signal.addEventListener('abort', cancel, { once: true });
  if (signal.aborted) cancel();
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}
