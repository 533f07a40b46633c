import { messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { Revocations } from '@longshore/transport';
import type { CertificateRepository } from './storage/postgres/certificate-repository.ts';

/** How late another replica's revocation is seen here; the query is one of an index that is nearly empty. */
const LOOK_EVERY_MS = 2_000;

/**
 * The revocations in force, for this process's own connections and for all who watch. It asks rather than listens: a
 * notification can be lost, and a certificate that is worthless must not stay good.
 */
export class RevocationList {
  readonly #certificates: CertificateRepository;
  readonly #revocations: Revocations;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> = Promise.resolve();
  /** Looks that wait for the one under way. */
  #next: Promise<void> | undefined;

  private constructor(certificates: CertificateRepository, revocations: Revocations, log: Logger) {
    this.#certificates = certificates;
    this.#revocations = revocations;
    this.#log = log;
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS).unref();
  }

  static async open(
    certificates: CertificateRepository,
    revocations: Revocations,
    log: Logger,
  ): Promise<RevocationList> {
    revocations.replace(await certificates.revoked());
    return new RevocationList(certificates, revocations, log);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /**
   * Takes up what was revoked until now. While the database is away, what is known stays in force. One look after
   * another: an older answer must not take the place of a newer one.
   */
  look(): Promise<void> {
    this.#next ??= this.#looking.then(() => {
      this.#next = undefined;
      this.#looking = this.#look();
      return this.#looking;
    });
    return this.#next;
  }

  async #look(): Promise<void> {
    try {
      this.#revocations.replace(await this.#certificates.revoked());
    } catch (error) {
      this.#log.debug({ error: messageOf(error) }, 'revocations cannot be read');
    }
  }

  /** The whole list now, and after each change, until the signal aborts. */
  async *watch(signal: AbortSignal): AsyncGenerator<string[]> {
    let wake = () => {};
    let hasChanged = true;
    const unlisten = this.#revocations.onChange(() => {
      hasChanged = true;
      wake();
    });
    const onAbort = () => wake();
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        if (hasChanged) {
          hasChanged = false;
          yield this.#revocations.serials;
          continue;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      unlisten();
    }
  }
}
