import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { alreadyExists, invalidArgument, isKind, kindOf, notFound } from '@longshore/errors';
import { parseIdentifier } from '@longshore/oci';
import type { ExecProcessRequest } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { type ProcessSchema, Status } from '@longshore/proto/containerd/v1/types/task';
import { ShimGoneError } from './shim-client.ts';
import { inStep } from './step-error.ts';
import type { Task } from './task.ts';
import type { TaskCall, TaskContext } from './task-context.ts';
import type { ProcessExit } from './task-report.ts';

/** For one shim to tell a state. Source: containerd plugins/services/tasks/local.go. */
const STATE_TIMEOUT_MS = 2_000;

/** Starts a task's first process, or an exec; answers its pid. The journal knows before the shim does. */
export async function startProcess(
  { journal, events }: TaskContext,
  task: Task,
  execId: string,
  call: TaskCall,
): Promise<number> {
  const record = execId ? journal.find(task.namespace, task.id, execId) : journal.reread(task.record);
  const mayStart = record !== undefined && !record.started;
  if (mayStart) journal.update(record, { startRequested: true });
  try {
    const { pid } = await task.call('start', { execId }, call);
    return pid;
  } catch (error) {
    if (mayStart && isRefusal(error)) events.startRefused(journal.reread(record));
    throw error;
  }
}

/** Adds an exec to a task. Its incarnation is on disk before the shim can report anything of it. */
export async function addExec(
  context: TaskContext,
  task: Task,
  request: ExecProcessRequest,
  call: TaskCall,
): Promise<void> {
  const { execId, terminal, stdin, stdout, stderr, spec } = request;
  if (execId === '') throw invalidArgument('exec id cannot be empty');
  inStep(`invalid exec id ${execId}`, () => parseIdentifier(execId));
  await refuseKnownExec(context, task, execId, call);
  const { namespace, id: containerId, record } = task;
  const { incarnation } = record;
  const execIncarnation = randomUUID();
  const exec = context.journal.begin({ namespace, containerId, execId, incarnation, execIncarnation });
  const io = { execId, terminal, stdin, stdout, stderr };
  try {
    await task.call('exec', spec ? { ...io, spec } : io, call);
  } catch (error) {
    if (isRefusal(error)) context.journal.forget(exec);
    throw error;
  }
}

/** Two execs of one id at a time could not be told apart. What an earlier agent left unfinished is asked for. */
async function refuseKnownExec(
  { journal }: TaskContext,
  task: Task,
  execId: string,
  call: TaskCall,
): Promise<void> {
  const known = journal.find(task.namespace, task.id, execId);
  if (!known || known.ended || known.incarnation !== task.record.incarnation) return;
  try {
    await task.call('state', { execId }, call, STATE_TIMEOUT_MS);
  } catch (error) {
    if (!isKind(error, 'NotFound')) throw error;
    return journal.update(known, { ended: true });
  }
  throw alreadyExists(`id ${execId}`);
}

/** Removes an exec that has exited. */
export async function deleteExec(
  { journal }: TaskContext,
  task: Task,
  execId: string,
  call: TaskCall,
): Promise<ProcessExit> {
  // With an empty id the shim would delete the task and leave us its shim.
  if (execId === '') throw invalidArgument('exec id cannot be empty');
  const { pid, exitStatus, exitedAt = timestampNow() } = await task.call('delete', { execId }, call);
  const record = journal.find(task.namespace, task.id, execId);
  if (record) journal.update(record, { ended: true });
  return { pid, exitStatus, exitedAt };
}

export type ProcessState = MessageInitShape<typeof ProcessSchema>;

/** A shim that is slow or says nothing useful has a process of unknown status; one that is gone has none. */
export async function processState(
  { log }: TaskContext,
  task: Task,
  execId: string,
  call: Partial<TaskCall> = {},
): Promise<ProcessState> {
  const id = execId || task.id;
  try {
    const state = await task.call('state', { execId }, call, STATE_TIMEOUT_MS);
    const { pid, status, stdin, stdout, stderr, terminal, exitStatus, exitedAt } = state;
    const process = { id, pid, status, stdin, stdout, stderr, terminal, exitStatus };
    return exitedAt ? { ...process, exitedAt } : process;
  } catch (error) {
    if (isKind(error, 'NotFound')) throw error;
    if (error instanceof ShimGoneError) throw notFound(`task ${id}`, { cause: error });
    log.warn({ namespace: task.namespace, id, err: error }, 'state of process not known');
    return { id, status: Status.UNKNOWN };
  }
}

/** True when the shim answered, so that what it refused did not happen. */
function isRefusal(error: unknown): boolean {
  if (error instanceof ShimGoneError) return false;
  return !['Canceled', 'DeadlineExceeded', 'Unavailable'].includes(kindOf(error));
}
