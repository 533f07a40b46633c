import { messageOf, type RetryPolicy, retryDelayMs } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { CertificateService } from '@longshore/proto/longshore/runtime/v1/certificates';
import type { ServiceClient } from '@longshore/rpc';
import { newKeyPair, TlsIdentity } from '@longshore/transport';
import type { IdentityFiles } from './identity-files.ts';

/** Of the certificate's time. */
const RENEW_AFTER = 2 / 3;
const RETRY: RetryPolicy = {
  initialDelayMs: 1_000,
  maxDelayMs: 10 * 60_000,
  attempts: Number.POSITIVE_INFINITY,
};
/** A clock that is far ahead must not make this a busy loop. */
const MIN_TIMER_MS = 1_000;
/** Longer timers overflow, and fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Renews the certificate that joining gave this node, with a new key each time; connections take it up by themselves. */
export class CertificateRenewal {
  readonly #files: IdentityFiles;
  readonly #certificates: ServiceClient<typeof CertificateService>;
  readonly #log: Logger;
  readonly #stopped = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;

  constructor(files: IdentityFiles, certificates: ServiceClient<typeof CertificateService>, log: Logger) {
    this.#files = files;
    this.#certificates = certificates;
    this.#log = log;
  }

  /** Does nothing for a node that has not joined. */
  start(): void {
    const certificate = this.#files.certificate();
    if (!certificate) return;
    // Its own beginning is backdated, for clocks that are behind.
    const from = this.#files.savedAtMs();
    this.#in(from + (Date.parse(certificate.validTo) - from) * RENEW_AFTER - Date.now());
  }

  close(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
  }

  #in(ms: number): void {
    if (this.#stopped.signal.aborted) return;
    this.#timer = setTimeout(
      () => void this.#renew(),
      Math.min(Math.max(ms, MIN_TIMER_MS), MAX_TIMER_MS),
    ).unref();
  }

  async #renew(): Promise<void> {
    try {
      const { privateKey, certificateRequest } = await newKeyPair();
      const { signal } = this.#stopped;
      const { certificate, authorities } = await this.#certificates.renew({ certificateRequest }, { signal });
      this.#files.save({ privateKey, certificate, authorities }, this.#files.addresses());
      TlsIdentity.reload(this.#files.tlsFiles);
      this.#failures = 0;
      this.#log.info({ until: this.#files.certificate()?.validTo }, 'certificate renewed');
      this.start();
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      this.#failures += 1;
      this.#log.warn({ error: messageOf(error), failures: this.#failures }, 'certificate cannot be renewed');
      this.#in(retryDelayMs(RETRY, this.#failures));
    }
  }
}
