import type { BlobName, BlobStore } from './blob-store.ts';
import type { SignedPaths } from './signed-paths.ts';

/** Where a caller may find the bytes of a blob without this API. */
export interface Place {
  readonly file: string;
  /** A secret: undefined when blobs are not served by URLs. */
  readonly url: { readonly text: string; readonly expiresAt: Date } | undefined;
}

/** Says where blobs are read. */
export class Places {
  readonly #store: BlobStore;
  readonly #paths: SignedPaths;
  readonly #bases: readonly string[];
  #turn = 0;

  /** `bases` are what URLs begin with, in turn, e.g. `https://content-1:7443`; without any there are no URLs. */
  constructor(store: BlobStore, paths: SignedPaths, bases: readonly string[]) {
    this.#store = store;
    this.#paths = paths;
    this.#bases = bases.map((base) => base.replace(/\/+$/, ''));
  }

  async of(name: BlobName): Promise<Place> {
    const { path: file } = this.#store.locate(name);
    const base = this.#bases[this.#turn++ % this.#bases.length];
    if (base === undefined) return { file, url: undefined };
    const { path, expiresAt } = await this.#paths.sign(name);
    return { file, url: { text: base + path, expiresAt } };
  }
}
