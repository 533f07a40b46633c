import { encodeSpec, type ProcessSpec } from '@longshore/oci/runtime-spec';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from '../connection/connection.ts';
import { hasTerminal, type Io } from '../io/io.ts';
import { localStdio } from '../io/local-stdio.ts';
import { ExecProcess } from './exec-process.ts';
import type { Process } from './process.ts';
import { RemoteExec } from './remote-exec.ts';
import { userInTask } from './user-in-task.ts';

export interface ExecOptions extends CallOptions {
  /** `user`, `uid`, `user:group` or `uid:gid` by the container's own passwd and group, in the place of the spec's. */
  user?: string | undefined;
  /** Where the fifos are made, on one machine with the server. Default: the connection's. */
  fifoDirectory?: string | undefined;
}

export interface ExecParts {
  readonly connection: Connection;
  readonly containerId: string;
  readonly id: string;
  readonly process: ProcessSpec;
  readonly io: Io;
}

/** Makes a further process in a task. When that fails nothing is left. */
export async function execIn(parts: ExecParts, options: ExecOptions): Promise<Process> {
  const { connection, containerId, id, io } = parts;
  const { fifoDirectory = connection.fifoDirectory, user: named, ...call } = options;
  const { user: own } = parts.process;
  const user = named === undefined ? own : await userInTask(connection, containerId, named, call);
  const process = { ...parts.process, ...(user && { user }), terminal: hasTerminal(io) };
  if (io.kind === 'streams' && !connection.isLocal) {
    return new RemoteExec({ connection, containerId, id, process, io });
  }
  const spec = { typeUrl: JsonTypeUrl.Process, value: encodeSpec(process) };
  const { stdio, fifos } = await localStdio(io, id, fifoDirectory);
  try {
    await connection.service(Tasks).exec({ containerId, execId: id, spec, ...stdio }, call);
  } catch (error) {
    fifos?.close();
    throw error;
  }
  return new ExecProcess({ connection, containerId, execId: id, pid: 0, io: fifos });
}
