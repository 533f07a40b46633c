import type { Descriptor, Digest, Labels } from '@longshore/oci';

/** A blob of an image, as it is to be kept. */
export interface BlobToStore {
  descriptor: Descriptor;
  labels: Labels;
}

/** Where the bytes of a stored blob can be read; each way may be missing. */
export interface BlobPlace {
  /** Path on the host of the content service. */
  file: string;
  /** A secret: it needs no other proof. */
  url: string;
  /**
   * Of a URL that is an object store's, HTTP or HTTPS, by certificates of a public authority, or of the one in `ca` (PEM); without
   * it, a URL is the content service's own.
   */
  objectStore?: { ca: string } | undefined;
}

export interface LinkedBlob {
  digest: Digest;
  isLinked: boolean;
  sizeBytes: number;
  place: BlobPlace | undefined;
}

/** The right to fetch one blob while others wait. It is kept alive until it is released. */
export interface Claim {
  /** Aborts when the claim ran out, and another may have it. */
  readonly lost: AbortSignal;
  /** How far the fetch is, for those who wait. */
  report(offsetBytes: number): void;
  /** Never throws: a claim that nobody releases runs out. */
  release(): Promise<void>;
}

/** Opens the bytes of a blob at an offset, verified. */
export type OpenBlob = (offsetBytes: number) => AsyncIterable<Buffer>;

/** Where a pull puts its blobs: a namespace of a node or of the fleet, with a lease that keeps them. */
export interface PullStore {
  /**
   * Makes content of what is stored already and may be had; gives labels that are missing to what was there. One round
   * trip, in the order of the request.
   */
  link(blobs: readonly BlobToStore[], signal: AbortSignal): Promise<LinkedBlob[]>;
  /** Resolves once the caller is to fetch the blob, or can link it. `onWait` hears how far another is. */
  claim(
    digest: Digest,
    signal: AbortSignal,
    onWait: (offsetBytes: number) => void,
  ): Promise<Claim | 'stored'>;
  /**
   * Stores a blob from where an earlier attempt has stopped; a blob that is there already is fine. `ref` names the
   * ingest. Throws what `open` throws; then what has come stays for the next attempt, unless it was wrong.
   */
  ingest(
    ref: string,
    blob: BlobToStore,
    open: OpenBlob,
    signal: AbortSignal,
    onOffset?: (offsetBytes: number) => void,
  ): Promise<void>;
  /** Leaves nothing of an ingest. Never throws: an ingest without a lease goes by itself. */
  forget(ref: string): Promise<void>;
}
