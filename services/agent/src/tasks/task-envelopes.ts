import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import {
  TaskCreateSchema,
  TaskDeleteSchema,
  TaskExecAddedSchema,
  TaskExecStartedSchema,
  TaskExitSchema,
  TaskStartSchema,
} from '@longshore/proto/containerd/events/task';
import { type Envelope, EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import type { ProcessRecord } from './task-journal.ts';
import type { ProcessExit } from './task-report.ts';

/** The events of a process as its shim would have sent them, for what this node finds by itself. */

export function createdEnvelope(record: ProcessRecord, pid: number, bundle: string): Envelope {
  const { namespace, containerId, execId } = record;
  if (execId) return envelope(namespace, '/tasks/exec-added', TaskExecAddedSchema, { containerId, execId });
  return envelope(namespace, '/tasks/create', TaskCreateSchema, { containerId, bundle, pid });
}

export function startedEnvelope(record: ProcessRecord, pid: number): Envelope {
  const { namespace, containerId, execId } = record;
  if (execId)
    return envelope(namespace, '/tasks/exec-started', TaskExecStartedSchema, { containerId, execId, pid });
  return envelope(namespace, '/tasks/start', TaskStartSchema, { containerId, pid });
}

export function exitedEnvelope(record: ProcessRecord, exit: ProcessExit): Envelope {
  const { namespace, containerId, execId } = record;
  return envelope(namespace, '/tasks/exit', TaskExitSchema, {
    containerId,
    id: execId || containerId,
    pid: exit.pid || record.pid,
    exitStatus: exit.exitStatus,
    exitedAt: exit.exitedAt,
  });
}

export function deletedEnvelope(record: ProcessRecord, exit: ProcessExit): Envelope {
  return envelope(record.namespace, '/tasks/delete', TaskDeleteSchema, {
    containerId: record.containerId,
    pid: exit.pid || record.pid,
    exitStatus: exit.exitStatus,
    exitedAt: exit.exitedAt,
  });
}

function envelope<D extends DescMessage>(
  namespace: string,
  topic: string,
  schema: D,
  message: MessageInitShape<D>,
): Envelope {
  const event = { typeUrl: schema.typeName, value: toBinary(schema, create(schema, message)) };
  return create(EnvelopeSchema, { timestamp: timestampNow(), namespace, topic, event });
}
