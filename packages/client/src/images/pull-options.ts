import type { Labels, Platform } from '@longshore/oci';
import type { RegistryOptions } from './open-registry.ts';
import type { OnProgress } from './progress.ts';

/**
 * Who fetches: `client` (this process; every containerd), `server` (containerd's transfer service: the bytes do not pass here), `fleet`
 * (a gateway, for many nodes at once). `auto`: the server where it can, else the client; a gateway without a node: the fleet.
 */
export type PullBy = 'auto' | 'client' | 'server' | 'fleet';

export interface PullOptions extends RegistryOptions {
  by?: PullBy | undefined;
  /** Name of the record; default: the reference in full. */
  name?: string | undefined;
  labels?: Labels | undefined;
  /** e.g. `linux/arm64`; default: what the server runs. */
  platform?: string | Platform | undefined;
  allPlatforms?: boolean | undefined;
  /** Makes snapshots of the layers, for containers. Only of what the server runs. Default false. */
  unpack?: boolean | undefined;
  /** Default overlayfs. */
  snapshotter?: string | undefined;
  /** Of a fleet: the nodes that take the image. */
  nodes?: readonly string[] | undefined;
  /** Of a fleet: labels of nodes that take it, e.g. `zone==a`. */
  selector?: string | undefined;
  onProgress?: OnProgress | undefined;
  /** When it aborts nothing is half done: no ingest, no lease, no record. Blobs and layers that are whole stay for a while. */
  signal?: AbortSignal | undefined;
}
