import type { Logger } from '@longshore/kit';
import type { Container } from '@longshore/proto/containerd/services/containers/v1/containers';
import type { BundleDirectories } from './bundle.ts';
import type { RuntimeBinaries } from './runtime-binary.ts';
import type { ShimSettings } from './shim-process.ts';
import type { TaskEvents } from './task-events.ts';
import type { TaskJournal } from './task-journal.ts';

/** One call for a task of this node. */
export interface TaskCall {
  namespace: string;
  signal?: AbortSignal | undefined;
  deadline?: Date | undefined;
}

/** The containers' records, which the control plane keeps. */
export interface ContainerLookup {
  /** Fails with `NotFound` `container "x" in namespace "y": not found`, or what the control plane fails with. */
  get(id: string, call: TaskCall): Promise<Container>;
}

/** What all work on tasks shares. */
export interface TaskContext {
  readonly settings: ShimSettings;
  readonly directories: BundleDirectories;
  /** cgroupfs paths are put below it. */
  readonly cgroupParent: string;
  readonly binaries: RuntimeBinaries;
  readonly journal: TaskJournal;
  readonly events: TaskEvents;
  readonly log: Logger;
  /** `traceparent` and the like of the call under way, for the shim. */
  traceHeaders(): Record<string, string>;
}
