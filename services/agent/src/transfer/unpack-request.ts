import type { Descriptor, Digest } from '@longshore/oci';
import type { WhenStored } from '@longshore/transfer';
import type { CatalogueCall } from '../snapshots/catalogue-call.ts';

export type LayerStatus = 'extracting' | 'extracted';

export interface UnpackRequest {
  /** Lowest first. */
  layers: readonly Descriptor[];
  diffIds: readonly Digest[];
  snapshotter: string;
  /** Carries the lease that keeps the snapshots until the image is recorded. */
  call: CatalogueCall;
  whenStored: WhenStored;
  signal: AbortSignal;
  onLayer(layer: Descriptor, status: LayerStatus): void;
}
