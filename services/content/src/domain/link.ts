import type { Digest, Labels } from '@longshore/oci';
import type { Content } from './content.ts';

/** A blob that a scope would have without sending its bytes. */
export interface LinkRequest {
  readonly digest: Digest;
  /** 0 when unknown. */
  readonly sizeBytes: number;
  readonly labels: Labels;
}

/** What a scope holds after a link. */
export interface LinkedContent {
  readonly content: Content;
  /** Whether the scope did not hold it before. */
  readonly isNew: boolean;
}
