import type { Descriptor } from '@longshore/oci';

/** A blob that a registry is to have. */
export interface BlobUpload {
  descriptor: Pick<Descriptor, 'digest' | 'size'>;
  /** Opens the bytes at an offset; asked again for what must be sent again. */
  open(offsetBytes: number): AsyncIterable<Uint8Array>;
  /** Repositories of the same registry that may have it. */
  mountFrom?: readonly string[] | undefined;
  signal?: AbortSignal | undefined;
  /** How much has been sent of it. */
  onOffset?: ((offsetBytes: number) => void) | undefined;
}
