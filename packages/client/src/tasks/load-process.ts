import { notFound } from '@longshore/errors';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from '../connection/connection.ts';
import { FifoIo } from '../io/fifo-io.ts';
import type { Io } from '../io/io.ts';
import { ExecProcess } from './exec-process.ts';
import type { Process } from './process.ts';
import { processStatusFromProto } from './process-status.ts';

export interface LoadProcessOptions extends CallOptions {
  /** Made by `streams`: joined to the process's fifos, which are on this machine; others are left alone. */
  io?: Io | undefined;
}

/** A further process that somebody has made. Throws NotFound. */
export async function loadProcess(
  connection: Connection,
  containerId: string,
  execId: string,
  { io, ...options }: LoadProcessOptions,
): Promise<Process> {
  const { process } = await connection.service(Tasks).get({ containerId, execId }, options);
  if (!process || execId === '') throw notFound(`process ${JSON.stringify(execId)}`);
  const { pid, stdio } = processStatusFromProto(process);
  const isHere = io?.kind === 'streams' && connection.isLocal && FifoIo.isAt(stdio);
  const fifos = isHere ? FifoIo.attach(stdio, io) : undefined;
  return new ExecProcess({ connection, containerId, execId, pid, io: fifos });
}
