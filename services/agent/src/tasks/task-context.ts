import type { Logger } from '@longshore/kit';
import type { Container } from '@longshore/proto/containerd/services/containers/v1/containers';
import type { BundleDirectories } from './bundle.ts';
import type { RuntimeBinaries } from './runtime-binary.ts';
import type { ShimDialects } from './shim-dialect.ts';
import type { ShimSettings } from './shim-process.ts';
import type { Task } from './task.ts';
import type { TaskCall } from './task-call.ts';
import type { TaskEvents } from './task-events.ts';
import type { ProcessRecord, TaskJournal } from './task-journal.ts';

export type { TaskCall };

/** The containers' records, which the control plane keeps. */
export interface ContainerLookup {
  /** Fails with `NotFound` `container "x" in namespace "y": not found`, or what the control plane fails with. */
  get(id: string, call: TaskCall): Promise<Container>;
}

/** Standard streams of a process, as its caller gives them; empty for none. */
export interface ProcessIo {
  terminal: boolean;
  stdin: string;
  stdout: string;
  stderr: string;
}

/** Output that the agent keeps by itself; see `stdio/`. */
export interface TaskStdio {
  /** Fifos of ours for a process whose output is to be kept, `io` itself for others. Throws InvalidArgument, and what the disk does. */
  resolve(record: ProcessRecord, io: ProcessIo): Promise<ProcessIo>;
  /** What streams are called before others: fifos of ours are for us alone to open. */
  shown(task: Task, io: ProcessIo): ProcessIo;
  /** The process was not made. */
  forget(record: ProcessRecord): void;
  /** There is this task: just made, or found again. */
  add(task: Task): void;
}

/** What all work on tasks shares. */
export interface TaskContext {
  readonly settings: ShimSettings;
  readonly directories: BundleDirectories;
  /** cgroupfs paths are put below it. */
  readonly cgroupParent: string;
  readonly binaries: RuntimeBinaries;
  readonly dialects: ShimDialects;
  readonly journal: TaskJournal;
  readonly events: TaskEvents;
  readonly log: Logger;
  readonly stdio?: TaskStdio | undefined;
  /** Aborts when the manager closes: what takes long is left to the next agent. */
  readonly closing: AbortSignal;
  /** `traceparent` and the like of the call under way, for the shim. */
  traceHeaders(): Record<string, string>;
}
