import type { BlobName, BlobStore } from './blob-store.ts';
import type { SignedPaths } from './signed-paths.ts';

/** What whoever has it can read a blob with: a secret. */
export interface BlobUrl {
  readonly text: string;
  readonly expiresAt: Date;
  /**
   * Who vouches for its server: the fleet, for this service's own endpoint; else the usual authorities, or those whose
   * certificates (PEM) are named.
   */
  readonly trust: 'fleet' | 'public' | { readonly ca: string };
}

/** Where a caller may find the bytes of a blob without this API. */
export interface Place {
  readonly file: string | undefined;
  readonly url: BlobUrl | undefined;
}

export interface PlacesOptions {
  /** How long a URL is good for. */
  readonly lifetimeMs: number;
  /** What URLs of this service's endpoint begin with, in turn, e.g. `https://content-1:7443`; without any there are none. */
  readonly bases: readonly string[];
}

/** Says where blobs are read: whoever asks has been seen to hold them. */
export class Places {
  readonly #store: BlobStore;
  readonly #paths: SignedPaths;
  readonly #lifetimeMs: number;
  readonly #bases: readonly string[];
  #turn = 0;

  constructor(store: BlobStore, paths: SignedPaths, { lifetimeMs, bases }: PlacesOptions) {
    this.#store = store;
    this.#paths = paths;
    this.#lifetimeMs = lifetimeMs;
    this.#bases = bases.map((base) => base.replace(/\/+$/, ''));
  }

  async of(name: BlobName): Promise<Place> {
    const place = await this.#store.locate(name, this.#lifetimeMs);
    if (place.kind === 'file') return { file: place.path, url: await this.#urlOf(name) };
    const { url, expiresAt, ca } = place;
    return { file: undefined, url: { text: url, expiresAt, trust: ca === undefined ? 'public' : { ca } } };
  }

  async #urlOf(name: BlobName): Promise<BlobUrl | undefined> {
    const base = this.#bases[this.#turn++ % this.#bases.length];
    if (base === undefined) return undefined;
    const { path, expiresAt } = await this.#paths.sign(name);
    return { text: base + path, expiresAt, trust: 'fleet' };
  }
}
