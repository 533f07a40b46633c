import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { BlobName } from './blob-store.ts';

const KEY_BYTES = 32;
/** How old the keys that this replica knows may be before it signs with them. */
const RELOAD_MS = 60_000;
/** A wrong signature may be one by a key that this replica does not know yet; but looking costs a query. */
const SECOND_LOOK_MS = 1_000;

export interface SigningKeys {
  /** The first one signs; all verify. */
  readonly keys: readonly Buffer[];
  /** By the clock of the database, which all replicas share. */
  readonly now: Date;
}

export interface SigningKeyStore {
  /** Makes a key when it is time for one. */
  load(newKey: () => Buffer): Promise<SigningKeys>;
}

export interface SignedPath {
  readonly path: string;
  readonly expiresAt: Date;
}

/** What a path claims. */
export interface Claimed extends BlobName {
  /** Seconds since 1970, as the path has it. */
  readonly expires: string;
  readonly signature: string;
}

/**
 * Paths of URLs that let whoever has one read one blob for some time: `/blobs/<digest>/<generation>?expires=…&signature=…`.
 * Any replica verifies what another has signed, however far apart their clocks are. They are secrets.
 */
export class SignedPaths {
  readonly #store: SigningKeyStore;
  readonly #lifetimeMs: number;
  #keys: readonly Buffer[] = [];
  /** The database's clock less that of this process. */
  #skewMs = 0;
  #loadedAt = Number.NEGATIVE_INFINITY;
  #loading: Promise<void> | undefined;

  constructor(store: SigningKeyStore, lifetimeMs: number) {
    this.#store = store;
    this.#lifetimeMs = lifetimeMs;
  }

  async sign(name: BlobName): Promise<SignedPath> {
    await this.#loadAfter(RELOAD_MS);
    const expires = Math.ceil((Date.now() + this.#skewMs + this.#lifetimeMs) / 1000);
    const signature = signatureOf(this.#keys[0]!, name, String(expires)).toString('base64url');
    return {
      path: `/blobs/${name.digest}/${name.generation}?expires=${expires}&signature=${signature}`,
      expiresAt: new Date(expires * 1000),
    };
  }

  /** Whether the signature is one of ours and has not expired. */
  async verify(claimed: Claimed): Promise<boolean> {
    await this.#loadAfter(RELOAD_MS);
    if (!this.#isSigned(claimed)) await this.#loadAfter(SECOND_LOOK_MS);
    return this.#isSigned(claimed) && Number(claimed.expires) * 1000 > Date.now() + this.#skewMs;
  }

  #isSigned(claimed: Claimed): boolean {
    const given = Buffer.from(claimed.signature, 'base64url');
    return this.#keys.some((key) => {
      const own = signatureOf(key, claimed, claimed.expires);
      return own.byteLength === given.byteLength && timingSafeEqual(own, given);
    });
  }

  async #loadAfter(ms: number): Promise<void> {
    if (performance.now() - this.#loadedAt < ms) return;
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    await this.#loading;
  }

  /** Keys that are known stay valid for a day after they have signed: the database may be away for a while. */
  async #load(): Promise<void> {
    try {
      const { keys, now } = await this.#store.load(() => randomBytes(KEY_BYTES));
      this.#keys = keys;
      this.#skewMs = now.getTime() - Date.now();
    } catch (error) {
      if (this.#keys.length === 0) throw error;
    }
    this.#loadedAt = performance.now();
  }
}

function signatureOf(key: Buffer, { digest, generation }: BlobName, expires: string): Buffer {
  return createHmac('sha256', key).update(`${digest}\n${generation}\n${expires}`).digest();
}
