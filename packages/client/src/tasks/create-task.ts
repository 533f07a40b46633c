import type { Any } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import type { Mount } from '@longshore/proto/containerd/types/mount';
import { StdioService } from '@longshore/proto/longshore/node/v1/stdio';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from '../connection/connection.ts';
import { AttachedIo } from '../io/attached-io.ts';
import type { Io } from '../io/io.ts';
import { localStdio } from '../io/local-stdio.ts';
import { Task } from './task.ts';

export interface NewTaskOptions extends CallOptions {
  /** For the shim; default: the container's. */
  options?: Pick<Any, 'typeUrl' | 'value'> | undefined;
  /** The root file system, instead of the container's snapshot; none where the spec names one that is there. */
  rootfs?: readonly Pick<Mount, 'type' | 'source' | 'options'>[] | undefined;
  /** Where the fifos are made, on one machine with the server. Default: the connection's. */
  fifoDirectory?: string | undefined;
}

/** Makes a container's first process, on the side of the streams that fits. What fails leaves nothing. */
export function createTask(
  connection: Connection,
  containerId: string,
  io: Io,
  options: NewTaskOptions,
): Promise<Task> {
  const isRemote = io.kind === 'streams' && !connection.isLocal;
  if (io.kind === 'kept' || isRemote) return createKept(connection, containerId, io, options);
  return createLocal(connection, containerId, io, options);
}

async function createLocal(
  connection: Connection,
  containerId: string,
  io: Io,
  { options: runtimeOptions, rootfs, fifoDirectory = connection.fifoDirectory, ...call }: NewTaskOptions,
): Promise<Task> {
  const mounts = rootfs ? [...rootfs] : await mountsOf(connection, containerId, call);
  const { stdio, fifos } = await localStdio(io, containerId, fifoDirectory);
  try {
    const tasks = connection.service(Tasks);
    const request = { containerId, rootfs: mounts, ...stdio };
    const more = runtimeOptions ? { options: runtimeOptions } : {};
    const { pid } = await tasks.create({ ...request, ...more }, call);
    fifos?.release(async () => {
      await tasks.closeIO({ containerId, stdin: true });
    });
    return new Task({ connection, containerId, pid, io: fifos });
  } catch (error) {
    fifos?.close();
    throw error;
  }
}

/** The node mounts the snapshot and keeps the output; what is to come here is read from there, from its beginning on. */
async function createKept(
  connection: Connection,
  containerId: string,
  io: Exclude<Io, { kind: 'null' | 'uri' }>,
  { options: runtimeOptions, rootfs, fifoDirectory: _, ...call }: NewTaskOptions,
): Promise<Task> {
  if (rootfs)
    throw invalidArgument(`task ${JSON.stringify(containerId)}: its node mounts the container's own root`);
  const { terminal } = io;
  const stdin = Boolean(io.stdin);
  const stdio = connection.service(StdioService);
  const request = { containerId, terminal, stdin, ...(runtimeOptions && { options: runtimeOptions }) };
  const { node, pid } = await stdio.create(request, call);
  // Streams have to be told the node; on a node's own socket there is but one.
  const there = connection.isLocal ? connection : connection.in({ node });
  const attached =
    io.kind === 'streams' ? new AttachedIo({ connection: there, containerId, io, withLog: true }) : undefined;
  return new Task({ connection: there, containerId, pid, io: attached });
}

async function mountsOf(connection: Connection, id: string, call: CallOptions): Promise<Mount[]> {
  const { container } = await connection.service(Containers).get({ id }, call);
  if (!container?.snapshotKey) return [];
  const { snapshotter, snapshotKey: key } = container;
  const { mounts } = await connection.service(Snapshots).mounts({ snapshotter, key }, call);
  return mounts;
}
