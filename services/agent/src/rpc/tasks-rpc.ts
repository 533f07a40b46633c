import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Handlers, listPartOf } from '@longshore/kit';
import type { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import type { ProcessSchema } from '@longshore/proto/containerd/v1/types/task';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import {
  addExec,
  closeProcessIo,
  deleteExec,
  killProcess,
  processState,
  requireExecId,
  startProcess,
} from '../tasks/process-operations.ts';
import type { TaskManager } from '../tasks/task-manager.ts';
import { taskMetrics } from '../tasks/task-metrics.ts';

/** An update that changes none. runc's shim takes them for granted: without, it would end, and the container with it. */
const NO_RESOURCES = { typeUrl: JsonTypeUrl.LinuxResources, value: Buffer.from('{}') };

/**
 * `containerd.services.tasks.v1.Tasks` of the node socket; Checkpoint is left out. Answers and refusals are the
 * shim's. Source: containerd plugins/services/tasks/local.go.
 */
export function tasksRpc(tasks: TaskManager): Handlers<typeof Tasks> {
  const { context } = tasks;
  return {
    async create(request, call) {
      const { record } = await tasks.create(call, request);
      return { containerId: request.containerId, pid: record.pid };
    },

    async start({ containerId, execId }, call) {
      return { pid: await startProcess(context, await tasks.get(call, containerId), execId, call) };
    },

    async delete({ containerId }, call) {
      return await tasks.delete(call, containerId);
    },

    async deleteProcess({ containerId, execId }, call) {
      const exit = await deleteExec(context, await tasks.get(call, containerId), execId, call);
      return { id: execId, ...exit };
    },

    async get({ containerId, execId }, call) {
      return { process: await processState(context, await tasks.get(call, containerId), execId, call) };
    },

    async list(_request, call) {
      const { from, limit } = listPartOf((name) => call.header(name));
      const rest = tasks.list(call.namespace).filter(({ id }) => id >= from);
      const found: MessageInitShape<typeof ProcessSchema>[] = [];
      while (found.length < limit && rest.length > 0) {
        const some = rest.splice(0, limit - found.length);
        const states = await Promise.allSettled(some.map((task) => processState(context, task, '', call)));
        // One that goes meanwhile is left out.
        found.push(...states.flatMap((state) => (state.status === 'fulfilled' ? [state.value] : [])));
      }
      return { tasks: found };
    },

    async kill(request, call) {
      await killProcess(await tasks.get(call, request.containerId), request, call);
      return {};
    },

    async exec(request, call) {
      requireExecId(request.execId);
      await addExec(context, await tasks.get(call, request.containerId), request, call);
      return {};
    },

    async resizePty({ containerId, execId, width, height }, call) {
      const task = await tasks.get(call, containerId);
      return await task.call('resizePty', { execId, width, height }, call);
    },

    async closeIO(request, call) {
      await closeProcessIo(await tasks.get(call, request.containerId), request, call);
      return {};
    },

    async pause({ containerId }, call) {
      return await (await tasks.get(call, containerId)).call('pause', {}, call);
    },

    async resume({ containerId }, call) {
      return await (await tasks.get(call, containerId)).call('resume', {}, call);
    },

    async listPids({ containerId }, call) {
      const { processes } = await (await tasks.get(call, containerId)).call('pids', {}, call);
      return { processes };
    },

    async update({ containerId, resources = NO_RESOURCES, annotations }, call) {
      return await (await tasks.get(call, containerId)).call('update', { resources, annotations }, call);
    },

    async metrics({ filters }, call) {
      return { metrics: await taskMetrics(context, tasks.list(call.namespace), filters, call) };
    },

    async wait({ containerId, execId }, call) {
      const { exitStatus, exitedAt } = await (await tasks.get(call, containerId)).call(
        'wait',
        { execId },
        call,
      );
      return exitedAt ? { exitStatus, exitedAt } : { exitStatus };
    },
  };
}
