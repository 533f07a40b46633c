export type { CredentialRequest, CredentialSource, Credentials } from '@longshore/registry';
export type { CallOptions } from '@longshore/rpc';
export type { ImageManifest } from '@longshore/transfer';
export { type ExtractOptions, extractTree } from './archive/extract-tree.ts';
export { packTree } from './archive/pack-tree.ts';
export { Client } from './client.ts';
export { Connection } from './connection/connection.ts';
export type { ClientTls, ConnectionOptions, ScopeOptions, Token } from './connection/options.ts';
export { Container, type DeleteContainerOptions } from './containers/container.ts';
export type { ContainerDraft, ContainerOption } from './containers/container-draft.ts';
export type { ContainerImage } from './containers/container-image.ts';
export type { ContainerInfo } from './containers/container-info.ts';
export * from './containers/container-options.ts';
export type { ListOptions } from './containers/list-containers.ts';
export type { LogOptions, LogOutput } from './containers/logs.ts';
export * from './containers/snapshot-options.ts';
export * from './containers/spec-container-options.ts';
export { imageConfig, type SpecPart, user } from './containers/spec-part.ts';
export type { BlobInfo, IngestStatus } from './content/blob-info.ts';
export { BlobWriter, type CommitOptions, type WriterOptions } from './content/blob-writer.ts';
export { type ByteRange, ContentStore, type WriteOptions } from './content/content-store.ts';
export { type CompareOptions, Differ, type SnapshotDiffOptions, type SnapshotMount } from './diff/differ.ts';
export type { ServerEvent } from './events/event.ts';
export { EventStream } from './events/events.ts';
export type { KnownEvent } from './events/known-events.ts';
export type { Change } from './events/list-then-watch.ts';
export { type SubscribeOptions, Subscription } from './events/subscription.ts';
export type { ImageRecord, WatchedItems } from './events/watchable.ts';
export type { ExportOptions } from './images/export.ts';
export { Image, type ImageUsage, type ImageUsageOptions, type UnpackOptions } from './images/image.ts';
export { ImageStore, type TagOptions } from './images/image-store.ts';
export type { ImportOptions } from './images/import.ts';
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
export { binaryIo, type Io, keptIo, logFile, nullIo, type Streams, streams } from './io/io.ts';
export type { ProcessIo, StdioPaths } from './io/process-io.ts';
export { type Lease, LeaseManager, type LeaseResource, type NewLease } from './leases/leases.ts';
export { type NamespaceInfo, Namespaces } from './namespaces.ts';
export type { ServerIdentity, ServerVersion } from './server-info.ts';
export type { Services } from './services.ts';
export type { SnapshotInfo, SnapshotKind } from './snapshots/snapshot-info.ts';
export { DEFAULT_SNAPSHOTTER, type NewSnapshot, Snapshotter } from './snapshots/snapshotter.ts';
export type { AttachOptions } from './tasks/attach-task.ts';
export type { NewTaskOptions } from './tasks/create-task.ts';
export type { ExecOptions } from './tasks/exec-in.ts';
export type { ExitStatus } from './tasks/exit-status.ts';
export type { TaskInfo } from './tasks/list-tasks.ts';
export type { LoadProcessOptions } from './tasks/load-process.ts';
export type { DeleteProcessOptions, Process } from './tasks/process.ts';
export type { ProcessInTask } from './tasks/process-in-task.ts';
export type { ProcessState, ProcessStatus } from './tasks/process-status.ts';
export { runcOptions } from './tasks/runc-options.ts';
export type { Signal } from './tasks/signal-number.ts';
export type { Task } from './tasks/task.ts';
export type { TaskMetrics } from './tasks/task-metrics.ts';
