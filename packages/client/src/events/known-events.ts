import { fromBinary, type MessageShape } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import {
  ContainerCreateSchema,
  ContainerDeleteSchema,
  ContainerUpdateSchema,
} from '@longshore/proto/containerd/events/container';
import { ContentCreateSchema, ContentDeleteSchema } from '@longshore/proto/containerd/events/content';
import {
  NamespaceCreateSchema,
  NamespaceDeleteSchema,
  NamespaceUpdateSchema,
} from '@longshore/proto/containerd/events/namespace';
import {
  SandboxCreateSchema,
  SandboxExitSchema,
  SandboxStartSchema,
} from '@longshore/proto/containerd/events/sandbox';
import {
  SnapshotCommitSchema,
  SnapshotPrepareSchema,
  SnapshotRemoveSchema,
} from '@longshore/proto/containerd/events/snapshot';
import {
  TaskCheckpointedSchema,
  TaskCreateSchema,
  TaskDeleteSchema,
  TaskExecAddedSchema,
  TaskExecStartedSchema,
  TaskExitSchema,
  TaskIOSchema,
  TaskOOMSchema,
  TaskPausedSchema,
  TaskResumedSchema,
  TaskStartSchema,
} from '@longshore/proto/containerd/events/task';
import {
  ImageCreateSchema,
  ImageDeleteSchema,
  ImageUpdateSchema,
} from '@longshore/proto/containerd/services/images/v1/events';

const SCHEMAS = [
  ContainerCreateSchema,
  ContainerDeleteSchema,
  ContainerUpdateSchema,
  ContentCreateSchema,
  ContentDeleteSchema,
  ImageCreateSchema,
  ImageDeleteSchema,
  ImageUpdateSchema,
  NamespaceCreateSchema,
  NamespaceDeleteSchema,
  NamespaceUpdateSchema,
  SandboxCreateSchema,
  SandboxExitSchema,
  SandboxStartSchema,
  SnapshotCommitSchema,
  SnapshotPrepareSchema,
  SnapshotRemoveSchema,
  TaskCheckpointedSchema,
  TaskCreateSchema,
  TaskDeleteSchema,
  TaskExecAddedSchema,
  TaskExecStartedSchema,
  TaskExitSchema,
  TaskIOSchema,
  TaskOOMSchema,
  TaskPausedSchema,
  TaskResumedSchema,
  TaskStartSchema,
] as const;

/** What containerd's own events say; `$typeName` tells which one it is. */
export type KnownEvent = MessageShape<(typeof SCHEMAS)[number]>;

const BY_NAME = new Map<string, (typeof SCHEMAS)[number]>(SCHEMAS.map((schema) => [schema.typeName, schema]));

/** Undefined for others' events, and for bytes that are none. */
export function decodeEvent({ typeUrl, value }: Pick<Any, 'typeUrl' | 'value'>): KnownEvent | undefined {
  const schema = BY_NAME.get(typeUrl.slice(typeUrl.lastIndexOf('/') + 1));
  if (!schema) return undefined;
  try {
    return fromBinary(schema, value);
  } catch {
    return undefined;
  }
}
