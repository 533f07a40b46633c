import type { Scope } from '@longshore/kit';
import type { Digest, Labels } from '@longshore/oci';
import type { BlobName } from './blob-store.ts';

/** A blob on its way in, named by its writer. */
export interface Ingest {
  /** Names the bytes received, and becomes the generation of the blob. */
  readonly uid: string;
  readonly scope: Scope;
  readonly ref: string;
  /** Announced size; 0 when unknown. */
  readonly totalBytes: number;
  /** Bytes that survive a crash; of a linked blob, all of it. */
  readonly durableBytes: number;
  /** The stored blob that a commit links without receiving bytes; pinned until then. */
  readonly linked: BlobName | undefined;
  /** Counts the writers; only the last one may checkpoint and commit. */
  readonly epoch: bigint;
  readonly startedAt: Date;
  readonly updatedAt: Date;
}

export interface OpenRequest {
  readonly ref: string;
  /** 0 when unknown. */
  readonly totalBytes: number;
  readonly expected: Digest | undefined;
  /** The caller's lease, which keeps the ingest and later the content. */
  readonly lease: string | undefined;
  /** Nothing of other namespaces is linked, whatever is configured. */
  readonly isIsolated?: boolean | undefined;
}

export interface CommitRequest {
  /** 0: whatever has arrived. */
  readonly totalBytes: number;
  /** `undefined`: whatever it is. */
  readonly expected: Digest | undefined;
  readonly labels: Labels;
  readonly lease: string | undefined;
}

/** The bytes that a commit makes a blob of. */
export interface Received extends BlobName {
  readonly sizeBytes: number;
}

/** How long an ingest without a lease is kept after it was opened last. Source: containerd core/metadata/content.go. */
export const INGEST_LIFETIME_MS = 24 * 60 * 60 * 1000;
