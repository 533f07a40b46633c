import { setTimeout as delay } from 'node:timers/promises';
import { isKind } from '@longshore/errors';

const ASK_AGAIN_MS = 100;

/** An attempt that has lasted so long had a server. */
const HAD_SERVER_MS = 1_000;

/**
 * Makes a call that waits and changes nothing again when it was cut off, e.g. by a restart of its server, as long as the server is not away
 * for longer than `outageMs`; then the last Unavailable is thrown.
 */
export async function bridgeOutages<T>(
  call: () => Promise<T>,
  outageMs: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  let awaySince: number | undefined;
  for (;;) {
    const startedAt = performance.now();
    try {
      return await call();
    } catch (error) {
      if (!isKind(error, 'Unavailable') || signal?.aborted) throw error;
      const now = performance.now();
      if (awaySince === undefined || now - startedAt > HAD_SERVER_MS) awaySince = now;
      if (now - awaySince >= outageMs) throw error;
      await delay(ASK_AGAIN_MS, undefined, { ...(signal && { signal }) });
    }
  }
}
