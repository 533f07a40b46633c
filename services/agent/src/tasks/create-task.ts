import { alreadyExists, unimplemented } from '@longshore/errors';
import { isErrno } from '@longshore/linux';
import type { Container } from '@longshore/proto/containerd/services/containers/v1/containers';
import type { CreateTaskRequest } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Bundle } from './bundle.ts';
import { prepareSpec } from './bundle-spec.ts';
import { cleanUpStep } from './clean-up-step.ts';
import { clearFrozenCgroup } from './left-overs.ts';
import { mountMappedRootfs } from './mapped-rootfs.ts';
import { isRefusal } from './refusal.ts';
import { shimOptions, usesSystemdCgroup } from './runc-options.ts';
import { runcRoot } from './runc-root.ts';
import { ShimClient } from './shim-client.ts';
import { ShimLog } from './shim-log.ts';
import { startShim } from './shim-process.ts';
import { inStep, rethrow } from './step-error.ts';
import { Task } from './task.ts';
import type { TaskCall, TaskContext } from './task-context.ts';
import type { ProcessRecord } from './task-journal.ts';
import { undoCreate } from './undo-create.ts';

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
    const rootfs = await mountMappedRootfs(bundle, request.rootfs).catch(
      rethrow('failed to mount rootfs component'),
    );
    const own = { bundle: bundle.path, rootfs, terminal, stdin, stdout, stderr };
    const created = task.call('create', options ? { ...own, options } : own, call);
    const { pid } = await created.catch(rethrow('failed to create shim task'));
    context.journal.update(record, { pid });
    return task;
  } catch (error) {
    await undoCreate(context, { bundle, binary, record, task, isRefused: isRefusal(error) });
    throw error;
  }
}

function refuseMissingParts(container: Container, request: CreateTaskRequest): void {
  if (request.checkpoint) throw unimplemented('create of a task from a checkpoint');
  if (container.sandbox) throw unimplemented(`task in sandbox ${JSON.stringify(container.sandbox)}`);
}

async function makeBundle(
  context: TaskContext,
  bundle: Bundle,
  spec: ReturnType<typeof prepareSpec>,
  binary: string,
): Promise<ProcessRecord> {
  try {
    const incarnation = bundle.create(spec, binary);
    const { namespace, id: containerId } = bundle;
    return context.journal.begin({ namespace, containerId, execId: '', incarnation, execIncarnation: '' });
  } catch (error) {
    // Somebody else's directory is not for us to remove.
    if (isErrno(error, 'EEXIST')) throw alreadyExists(`bundle ${bundle.path}`, { cause: error });
    await cleanUpStep(context, bundle, 'bundle cannot be removed', () => bundle.remove());
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
