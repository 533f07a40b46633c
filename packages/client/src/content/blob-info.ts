import { type Digest, type Labels, parseDigest } from '@longshore/oci';
import type { Info, Status } from '@longshore/proto/containerd/services/content/v1/content';
import { dateOf } from '../call-time.ts';

/** What is known of a blob without its bytes. */
export interface BlobInfo {
  digest: Digest;
  sizeBytes: number;
  labels: Labels;
  createdAt: Date | undefined;
  updatedAt: Date | undefined;
}

/** A blob that is being written, or was and may be gone on with. */
export interface IngestStatus {
  ref: string;
  offsetBytes: number;
  /** 0 where it was not said. */
  totalBytes: number;
  startedAt: Date | undefined;
  updatedAt: Date | undefined;
}

export function blobInfoFromProto({ digest, size, labels, createdAt, updatedAt }: Info): BlobInfo {
  return {
    digest: parseDigest(digest),
    sizeBytes: Number(size),
    labels,
    createdAt: dateOf(createdAt),
    updatedAt: dateOf(updatedAt),
  };
}

export function ingestStatusFromProto({ ref, offset, total, startedAt, updatedAt }: Status): IngestStatus {
  return {
    ref,
    offsetBytes: Number(offset),
    totalBytes: Number(total),
    startedAt: dateOf(startedAt),
    updatedAt: dateOf(updatedAt),
  };
}
