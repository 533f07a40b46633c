import { messageOf, unavailable } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { AccessRepository } from '../storage/postgres/access-repository.ts';
import type { StoredToken } from './api-token.ts';
import { Grants } from './grants.ts';

/** How late another gateway's change is seen here; the query is of one row. */
const LOOK_EVERY_MS = 2_000;
/** Who is refused has this gateway look whether it is behind, however many are, no more often than this. */
const LOOK_AGAIN_MS = 100;
/** Nobody waits longer than this for a database that does not answer. */
const WAIT_MS = 2_000;

export interface AccessDirectoryOptions {
  repository: Pick<AccessRepository, 'version' | 'load'>;
  /** For how long what was read last may be gone by while Postgres is away. */
  maxAgeMs: number;
  log: Logger;
}

/** What is known of tokens and bindings. */
export interface AccessState {
  version: bigint;
  grants: Grants;
  tokens: ReadonlyMap<string, StoredToken>;
}

const NOTHING: AccessState = { version: -1n, grants: new Grants([]), tokens: new Map() };

/**
 * Tokens and bindings, in memory: a call asks nobody. It asks Postgres for news by itself rather than listen: a notification
 * can be lost, and what is revoked must not stay good.
 */
export class AccessDirectory {
  readonly #options: AccessDirectoryOptions;
  readonly #timer: NodeJS.Timeout;
  #state = NOTHING;
  /** When the last look that succeeded began. */
  #asOf = Number.NEGATIVE_INFINITY;
  #startedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> = Promise.resolve();
  /** Looks that wait for the one under way. */
  #next: Promise<void> | undefined;

  private constructor(options: AccessDirectoryOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS).unref();
  }

  /** Throws Unavailable when Postgres cannot be asked. */
  static async open(options: AccessDirectoryOptions): Promise<AccessDirectory> {
    const directory = new AccessDirectory(options);
    try {
      await directory.#read();
      return directory;
    } catch (error) {
      directory.close();
      throw error;
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Throws Unavailable when what is known is too old to go by, and there is nothing newer to be had. */
  async current(): Promise<AccessState> {
    if (this.#isFresh) return this.#state;
    await this.#lookInTime();
    if (this.#isFresh) return this.#state;
    throw unavailable('access: the database is away, and what was last known of tokens and roles is too old');
  }

  /** As {@link current}, with every change that was made before this was asked, if Postgres is there. */
  async newest(): Promise<AccessState> {
    await this.#lookInTime();
    return this.current();
  }

  /** Resolves after a look that has begun after this was called. Never throws. */
  look(): Promise<void> {
    this.#next ??= this.#looking.then(async () => {
      const waitMs = this.#startedAt + LOOK_AGAIN_MS - performance.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      this.#next = undefined;
      this.#looking = this.#look();
      return this.#looking;
    });
    return this.#next;
  }

  async #lookInTime(): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, WAIT_MS);
    await Promise.race([this.look(), late]);
    clearTimeout(timer);
  }

  get #isFresh(): boolean {
    return performance.now() - this.#asOf < this.#options.maxAgeMs;
  }

  async #look(): Promise<void> {
    try {
      await this.#read();
    } catch (error) {
      this.#options.log.debug({ error: messageOf(error) }, 'tokens and roles cannot be read');
    }
  }

  async #read(): Promise<void> {
    const { repository } = this.#options;
    const startedAt = performance.now();
    this.#startedAt = startedAt;
    if ((await repository.version()) !== this.#state.version) {
      const { version, tokens, bindings } = await repository.load();
      this.#state = {
        version,
        grants: new Grants(bindings),
        tokens: new Map(tokens.map((token) => [token.id, token])),
      };
    }
    this.#asOf = startedAt;
  }
}
