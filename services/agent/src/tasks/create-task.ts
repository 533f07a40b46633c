import { alreadyExists, messageOf, unimplemented } from '@longshore/errors';
import { isErrno } from '@longshore/linux';
import type { Container } from '@longshore/proto/containerd/services/containers/v1/containers';
import type { CreateTaskRequest } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Bundle } from './bundle.ts';
import { prepareSpec } from './bundle-spec.ts';
import { dialTask } from './dial-task.ts';
import { clearFrozenCgroup, endLeftOvers } from './left-overs.ts';
import { isRefusal } from './refusal.ts';
import { endShimOf } from './remove-task.ts';
import { shimOptions, usesSystemdCgroup } from './runc-options.ts';
import { runcRoot } from './runc-root.ts';
import { removeDeadSocket, ShimClient } from './shim-client.ts';
import { ShimLog } from './shim-log.ts';
import { deleteByBinary, startShim } from './shim-process.ts';
import { inStep, rethrow } from './step-error.ts';
import { Task } from './task.ts';
import type { TaskCall, TaskContext } from './task-context.ts';
import type { ProcessRecord } from './task-journal.ts';

/** How long the shim may take to undo a failed create. Source: containerd core/runtime/v2/shim.go. */
const CLEANUP_TIMEOUT_MS = 5_000;

/**
 * Makes bundle, shim and container. When that fails nothing of them is left, and the error has the shim's own words
 * and kind, behind the step that failed as containerd names it.
 */
export async function createTask(
  context: TaskContext,
  call: TaskCall,
  container: Container,
  request: CreateTaskRequest,
): Promise<Task> {
  refuseMissingParts(container, request);
  const runtime = request.runtimePath || (container.runtime?.name ?? '');
  const options = shimOptions(
    runtime,
    request.options,
    container.runtime?.options,
    runcRoot(context.directories),
  );
  const spec = prepareSpec(container.spec?.value ?? new Uint8Array(), {
    parent: context.cgroupParent,
    fallback: `/${call.namespace}/${request.containerId}`,
    bySystemd: usesSystemdCgroup(options),
  });
  const binary = inStep('failed to start shim: failed to resolve runtime path', () =>
    context.binaries.resolve(runtime),
  );

  const bundle = new Bundle(context.directories, call.namespace, request.containerId);
  await clearFrozenCgroup(context, spec.cgroup);
  const record = await makeBundle(context, bundle, spec, binary);
  let task: Task | undefined;
  try {
    task = await startTaskShim(context, call, bundle, record, binary, options).catch(
      rethrow('failed to start shim'),
    );
    const { terminal, stdin, stdout, stderr } = (await context.stdio?.resolve(record, request)) ?? request;
    const own = { bundle: bundle.path, rootfs: request.rootfs, terminal, stdin, stdout, stderr };
    const created = task.call('create', options ? { ...own, options } : own, call);
    const { pid } = await created.catch(rethrow('failed to create shim task'));
    context.journal.update(record, { pid });
    return task;
  } catch (error) {
    // A shim that hangs in what it was asked for would not hear of anything else either.
    if (!isRefusal(error) && !bundle.isGrouped) await task?.killShimTree();
    await discard(context, bundle, binary, task ?? (await dialTask(context, bundle, record)));
    context.stdio?.forget(record);
    context.journal.end(record.incarnation);
    throw error;
  }
}

function refuseMissingParts(container: Container, request: CreateTaskRequest): void {
  if (request.checkpoint) throw unimplemented('create of a task from a checkpoint');
  if (container.sandbox) throw unimplemented(`task in sandbox ${JSON.stringify(container.sandbox)}`);
}

async function makeBundle(
  { journal }: TaskContext,
  bundle: Bundle,
  spec: ReturnType<typeof prepareSpec>,
  binary: string,
): Promise<ProcessRecord> {
  try {
    const incarnation = bundle.create(spec, binary);
    const { namespace, id: containerId } = bundle;
    return journal.begin({ namespace, containerId, execId: '', incarnation, execIncarnation: '' });
  } catch (error) {
    // Somebody else's directory is not for us to remove.
    if (isErrno(error, 'EEXIST')) throw alreadyExists(`bundle ${bundle.path}`, { cause: error });
    await bundle.remove();
    throw error;
  }
}

async function startTaskShim(
  context: TaskContext,
  { signal }: TaskCall,
  bundle: Bundle,
  record: ProcessRecord,
  binary: string,
  options: ReturnType<typeof shimOptions>,
): Promise<Task> {
  const log = new ShimLog(bundle.logPath, context.log.child({ namespace: bundle.namespace, id: bundle.id }));
  try {
    const bootstrap = await startShim(context.settings, context.dialects, bundle, binary, options).catch(
      rethrow('start failed'),
    );
    bundle.writeBootstrap(bootstrap);
    const client = await ShimClient.dial(bootstrap, signal);
    return new Task(context, bundle, record, client, log);
  } catch (error) {
    log.close();
    throw error;
  }
}

/**
 * Takes away what a failed create has left: the container if there is one, the shim, the bundle. The shim is gone before
 * anybody else acts on the container.
 */
async function discard(
  context: TaskContext,
  bundle: Bundle,
  binary: string,
  task: Task | undefined,
): Promise<void> {
  const isDeleted = await task?.call('delete', {}, {}, CLEANUP_TIMEOUT_MS).then(
    () => true,
    () => false,
  );
  await task?.endShim();
  await endShimOf(context, bundle);
  if (!isDeleted) {
    // A shim that failed after runc had made the container does not know of it, but runc still has it.
    const words = await deleteByBinary(context.settings, bundle, binary).then(() => '', messageOf);
    context.log.debug(
      { namespace: bundle.namespace, id: bundle.id, words },
      'cleaned up after failed create',
    );
  }
  await endLeftOvers(context, bundle);
  if (bundle.bootstrap) await removeDeadSocket(bundle.bootstrap);
  await bundle.remove();
}
