import { randomUUID } from 'node:crypto';
import { type Timestamp, timestampMs } from '@bufbuild/protobuf/wkt';
import { isKind } from '@longshore/errors';
import type { Digest } from '@longshore/oci';
import { AcquireResponse_Result, type ClaimService } from '@longshore/proto/longshore/content/v1/blobs';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import type { Claim } from './pull-store.ts';
import { whileAway } from './while-away.ts';

/** A third of what a claim lasts without a word leaves room for a lost one; within bounds, since clocks differ. */
const RENEW_MS = { least: 500, most: 8_000 };
/** How long the service may hold a question back; between two, a waiter hears how far the holder is. */
const WAIT_MS = 10_000;
const RELEASE_TIMEOUT_MS = 5_000;

/** Claims of one pull on the blobs of one registry, in the namespace of `options`. */
export class Claims {
  readonly #client: ServiceClient<typeof ClaimService>;
  readonly #registry: string;
  readonly #options: CallOptions;
  readonly #holder = randomUUID();

  /** `registry` as in references. */
  constructor(client: ServiceClient<typeof ClaimService>, registry: string, options: CallOptions) {
    this.#client = client;
    this.#registry = registry;
    this.#options = options;
  }

  /** Waits until the blob is the caller's to fetch, or stored. */
  async acquire(
    digest: Digest,
    signal: AbortSignal,
    onWait: (offsetBytes: number) => void,
  ): Promise<Claim | 'stored'> {
    const request = { registry: this.#registry, digest, holder: this.#holder, waitMs: WAIT_MS };
    for (;;) {
      const { result, offset, expiresAt } = await whileAway(signal, () =>
        this.#client.acquire(request, { ...this.#options, signal }),
      );
      if (result === AcquireResponse_Result.HELD) return this.#hold(digest, renewEvery(expiresAt));
      if (result === AcquireResponse_Result.STORED) return 'stored';
      onWait(Number(offset));
    }
  }

  #hold(digest: Digest, everyMs: number): Claim {
    const request = { registry: this.#registry, digest, holder: this.#holder };
    const lost = new AbortController();
    let offset = 0n;
    const renew = () => {
      // Not renewed for any other reason than that it is gone, it may still be renewed the next time.
      this.#client.renew({ ...request, offset }, this.#bounded()).catch((error: unknown) => {
        if (isKind(error, 'NotFound')) lost.abort(error);
      });
    };
    const timer = setInterval(renew, everyMs);
    return {
      lost: lost.signal,
      report: (offsetBytes) => {
        offset = BigInt(offsetBytes);
      },
      release: async () => {
        clearInterval(timer);
        await this.#client.release(request, this.#bounded()).catch(() => undefined);
      },
    };
  }

  /** Of calls that are made also when the pull is over. */
  #bounded(): CallOptions {
    return { headers: this.#options.headers, deadline: new Date(Date.now() + RELEASE_TIMEOUT_MS) };
  }
}

function renewEvery(expiresAt: Timestamp | undefined): number {
  const leftMs = expiresAt ? timestampMs(expiresAt) - Date.now() : RENEW_MS.most;
  return Math.min(RENEW_MS.most, Math.max(RENEW_MS.least, leftMs / 3));
}
