import type { Digest } from './digest.ts';
import type { Platform } from './platform.ts';

/** Names a blob and says what it is. Field names are those of the JSON documents. Source: OCI image-spec descriptor.md. */
export interface Descriptor {
  mediaType: string;
  digest: Digest;
  /** Bytes. */
  size: number;
  urls?: string[];
  annotations?: Record<string, string>;
  platform?: Platform;
  artifactType?: string;
}
