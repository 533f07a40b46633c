import { notFound } from '@longshore/errors';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { ReservedLabel } from '@longshore/proto/headers';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from '../connection/connection.ts';
import { AttachedIo } from '../io/attached-io.ts';
import { FifoIo } from '../io/fifo-io.ts';
import type { Io, StreamsIo } from '../io/io.ts';
import type { ProcessIo, StdioPaths } from '../io/process-io.ts';
import { processStatusFromProto } from './process-status.ts';
import { Task } from './task.ts';

export interface AttachOptions extends CallOptions {
  /** Made by `streams`: joined to the task's own. */
  io?: Io | undefined;
  /** Of output that the node keeps, what was written before comes first. */
  withLog?: boolean | undefined;
}

/** Resolves once nothing that the task writes is missed any more. Throws NotFound when the container has no task. */
export async function attachTask(
  connection: Connection,
  containerId: string,
  { io, withLog = false, ...options }: AttachOptions,
): Promise<Task> {
  const { process } = await connection.service(Tasks).get({ containerId }, options);
  if (!process) throw notFound(`task ${JSON.stringify(containerId)}`);
  const { pid, stdio } = processStatusFromProto(process);
  const there = await atItsNode(connection, containerId, options);
  const joined = io?.kind === 'streams' ? join(there, containerId, io, stdio, withLog) : undefined;
  if (joined instanceof AttachedIo) await joined.joined;
  return new Task({ connection: there, containerId, pid, io: joined });
}

function join(
  connection: Connection,
  containerId: string,
  io: StreamsIo,
  stdio: StdioPaths,
  withLog: boolean,
): ProcessIo {
  const isFifo = connection.isLocal && FifoIo.isAt(stdio);
  return isFifo ? FifoIo.attach(stdio, io) : new AttachedIo({ connection, containerId, io, withLog });
}

/** At a fleet's edge streams go to a node that the caller names; which one it is a list tells. */
async function atItsNode(connection: Connection, id: string, options: CallOptions): Promise<Connection> {
  if (connection.isLocal || connection.node !== undefined) return connection;
  const { containers } = await connection.service(Containers).list({ filters: [`id==${id}`] }, options);
  const node = containers[0]?.labels[ReservedLabel.Node];
  return node === undefined ? connection : connection.in({ node });
}
