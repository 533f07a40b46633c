/** A candidate that stays for now. */
export interface UnreachedRecord {
  readonly kind: string;
  readonly key: string;
  readonly sizeBytes: bigint | undefined;
  readonly since: Date | undefined;
}

/** One step from a root to a record. */
export interface ChainLink {
  readonly kind: string;
  readonly key: string;
  /** By which the one before and this one hang together; undefined: by a field. */
  readonly label: string | undefined;
}

/** A root, and what it leads to, in order. */
export interface Chain {
  readonly links: readonly ChainLink[];
  readonly rootReason: string;
}

/** Bytes of a blob that wait for their removal. */
export interface BuriedBlob {
  readonly generation: string;
  readonly buriedAt: Date;
}

export interface BlobWhereabouts {
  readonly holders: readonly { namespace: string; node: string }[];
  readonly buried: readonly BuriedBlob[];
}
