export { Client } from './client.ts';
export { Connection } from './connection/connection.ts';
export type { ClientTls, ConnectionOptions, ScopeOptions, Token } from './connection/options.ts';
export type { BlobInfo, IngestStatus } from './content/blob-info.ts';
export { BlobWriter, type CommitOptions, type WriterOptions } from './content/blob-writer.ts';
export { type ByteRange, ContentStore, type WriteOptions } from './content/content-store.ts';
export { Image, type UnpackOptions } from './images/image.ts';
export { ImageStore, type TagOptions } from './images/image-store.ts';
export type { RegistryHost, RegistryHosts, RegistryOptions } from './images/open-registry.ts';
export type {
  BlobProgress,
  BlobState,
  NodeProgress,
  OnProgress,
  Phase,
  Progress,
} from './images/progress.ts';
export type { PullBy, PullOptions } from './images/pull-options.ts';
export type { PushOptions } from './images/push.ts';
export { type Lease, LeaseManager, type LeaseResource, type NewLease } from './leases/leases.ts';
export type { Services } from './services.ts';
export type { SnapshotInfo, SnapshotKind } from './snapshots/snapshot-info.ts';
export { DEFAULT_SNAPSHOTTER, type NewSnapshot, Snapshotter } from './snapshots/snapshotter.ts';
