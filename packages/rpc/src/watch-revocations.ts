import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, type RetryPolicy, retryDelayMs } from '@longshore/errors';
import { CertificateService } from '@longshore/proto/longshore/runtime/v1/certificates';
import type { Revocations, Warnings } from '@longshore/transport';
import type { Channel } from './channel.ts';
import { createClient } from './create-client.ts';

const RETRY: RetryPolicy = { initialDelayMs: 200, maxDelayMs: 5_000, attempts: Number.POSITIVE_INFINITY };

export interface WatchRevocationsOptions {
  /** Where the last known list is kept, one serial a line, for a start while nobody can be asked. */
  file?: string | undefined;
}

/**
 * Keeps a list of revocations true until it is closed: what the certificate authority says over `runtime`, now and at
 * each change. While it cannot be asked, the last known list holds.
 */
export function watchRevocations(
  runtime: Channel,
  revocations: Revocations,
  log: Warnings,
  { file }: WatchRevocationsOptions = {},
): AsyncDisposable & { close(): Promise<void> } {
  const stopping = new AbortController();
  if (file !== undefined) revocations.replace(readList(file));
  const watching = watch(runtime, stopping.signal, log, (serials) => {
    revocations.replace(serials);
    if (file !== undefined) keepList(file, revocations.serials, log);
  });
  const close = async () => {
    stopping.abort();
    await watching;
  };
  return { close, [Symbol.asyncDispose]: close };
}

async function watch(
  runtime: Channel,
  signal: AbortSignal,
  log: Warnings,
  take: (serials: string[]) => void,
): Promise<void> {
  const client = createClient(CertificateService, runtime);
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      for await (const { serials } of client.watchRevocations({}, { signal })) {
        attempt = 0;
        take(serials);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (attempt === 1)
        log.warn({ error: messageOf(error) }, 'revocations cannot be watched; the last known list holds');
    }
    await delay(retryDelayMs(RETRY, Math.max(1, attempt)), undefined, { signal }).catch(() => undefined);
  }
}

function readList(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** A disk that is full is no reason to stop listening: the list in force is the one in memory. */
function keepList(file: string, serials: string[], log: Warnings): void {
  try {
    writeList(file, serials);
  } catch (error) {
    log.warn({ file, error: messageOf(error) }, 'the list of revocations cannot be kept');
  }
}

function writeList(file: string, serials: string[]): void {
  // Replicas on one machine may share the file.
  const next = `${file}.${process.pid}`;
  writeFileSync(next, serials.map((serial) => `${serial}\n`).join(''), { mode: 0o600 });
  renameSync(next, file);
}
