import type { Scope } from '@longshore/kit';
import type { Labels } from '@longshore/oci';
import type { Quarantine } from './blob-health.ts';
import type { BlobName } from './blob-store.ts';

/** A scope's record of a blob that it holds. */
export interface Content extends BlobName {
  readonly uid: string;
  readonly scope: Scope;
  readonly revision: bigint;
  readonly sizeBytes: number;
  readonly labels: Labels;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  /** Of bytes that cannot be read. */
  readonly quarantine?: Quarantine | undefined;
}

/** What an event says of content. */
export type ContentIdentity = Pick<Content, 'scope' | 'digest' | 'sizeBytes' | 'revision'>;
