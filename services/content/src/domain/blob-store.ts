import type { Digest } from '@longshore/oci';

/**
 * Names the bytes of one stored blob. A digest that is stored again after its removal has another generation, so
 * a removal that comes late never meets the new bytes.
 */
export interface BlobName {
  readonly digest: Digest;
  /** UUID. */
  readonly generation: string;
}

/**
 * Where a caller may find the bytes without this service: a file, for who can open it, or a URL, which is a secret, with the
 * certificates (PEM) of who vouches for its server unless that is a public authority.
 */
export type BlobPlace =
  | { kind: 'file'; path: string }
  | { kind: 'url'; url: string; expiresAt: Date; ca: string | undefined };

export interface BlobReader extends AsyncDisposable {
  readonly sizeBytes: number;
  /** Bytes from `position` on, at most `lengthBytes`, fewer only at the end. Reads may overlap in time. */
  read(position: number, lengthBytes: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** What one writer of an ingest has received. Calls must not overlap, but for `flush`, which may run beside any. */
export interface PartWriter extends AsyncDisposable {
  readonly sizeBytes: number;
  /** Appends; the buffer belongs to the writer until the promise settles. */
  write(data: Uint8Array): Promise<void>;
  /** Makes durable what was written before the call, and answers how many bytes that is. */
  flush(): Promise<number>;
  /** Forgets everything written. */
  truncate(): Promise<void>;
  /**
   * Makes the bytes durable and readable under their name; the writer is closed by it, also when it fails. The next writer of
   * the ingest has them too, until the ingest is removed, where files can have two names.
   */
  publish(name: BlobName): Promise<void>;
  /** Makes the bytes durable and keeps them for the next writer. Closing twice is fine. */
  close(): Promise<void>;
}

export interface StoredBytes {
  /** Without a digest: an ingest's uid. */
  readonly digest: Digest | undefined;
  readonly generation: string;
  /** When the bytes got this name, or were last added to. */
  readonly changedAt: Date;
}

/**
 * Keeps bytes; who may see them and when they go is decided elsewhere. One ingest may have had several writers,
 * told apart by a growing `epoch`; what a writer appends after a later one has started is lost, never mixed in.
 * Errors: NotFound for bytes that are not there, ResourceExhausted for a full store, Unavailable for one that is away or does
 * not answer, of which nothing is taken for missing.
 */
export interface BlobStore {
  /**
   * Starts a writer behind the first `keepBytes` bytes of the writer before it, or fewer when it had fewer;
   * `seen` gets those bytes in order. The bytes it keeps are durable. The first epoch is 1.
   */
  openWriter(
    ingest: string,
    epoch: bigint,
    keepBytes: number,
    seen: (chunk: Uint8Array) => void,
  ): Promise<PartWriter>;
  open(name: BlobName): Promise<BlobReader>;
  /** A URL is good for `lifetimeMs`. */
  locate(name: BlobName, lifetimeMs: number): Promise<BlobPlace>;
  /** Removing what is not there succeeds. */
  removeBlob(name: BlobName): Promise<void>;
  removeIngest(ingest: string): Promise<void>;
  /** Everything that is stored, in no order. */
  list(): AsyncIterable<StoredBytes>;
  /** Removes what was being published before that time, under any name, and never was. */
  discardUnfinished(before: Date): Promise<void>;
}
