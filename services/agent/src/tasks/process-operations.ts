import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { alreadyExists, invalidArgument, isKind, LongshoreError, notFound } from '@longshore/errors';
import { parseIdentifier } from '@longshore/oci';
import type {
  CloseIORequest,
  ExecProcessRequest,
  KillRequest,
} from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { type ProcessSchema, Status } from '@longshore/proto/containerd/v1/types/task';
import { recordExit } from './record-exit.ts';
import { isRefusal } from './refusal.ts';
import { killUnanswering } from './remove-task.ts';
import { ShimGoneError } from './shim-client.ts';
import { inStep } from './step-error.ts';
import type { Task } from './task.ts';
import type { TaskCall, TaskContext } from './task-context.ts';
import type { ProcessExit } from './task-report.ts';

/** For one shim to tell a state. Source: containerd plugins/services/tasks/local.go. */
const STATE_TIMEOUT_MS = 2_000;
const SIGKILL = 9;

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

/** Without an id, a call for an exec would be one for the task. */
export function requireExecId(execId: string): void {
  if (execId === '') throw invalidArgument('exec id cannot be empty');
}

/** Adds an exec to a task. Its incarnation is on disk before the shim can report anything of it. */
export async function addExec(
  context: TaskContext,
  task: Task,
  request: ExecProcessRequest,
  call: TaskCall,
): Promise<void> {
  const { execId } = request;
  requireExecId(execId);
  inStep(`invalid exec id ${execId}`, () => parseIdentifier(execId));
  if (task.adding.has(execId)) throw alreadyExists(`id ${execId}`);
  task.adding.add(execId);
  try {
    await refuseKnownExec(context, task, execId, call);
    await sendExec(context, task, request, call);
  } finally {
    task.adding.delete(execId);
  }
}

async function sendExec(
  context: TaskContext,
  task: Task,
  request: ExecProcessRequest,
  call: TaskCall,
): Promise<void> {
  const { execId, spec } = request;
  // runc's shim takes it for granted: without it the shim would end, and the container with it.
  if (!spec) throw invalidArgument(`exec ${execId}: spec must be set`);
  const { namespace, id: containerId, record } = task;
  // The journal is done with the task, and would keep the record of its exec for ever.
  if (task.state === 'leaving' || task.state === 'gone') {
    throw new LongshoreError('NotFound', `task ${task.id} not found`);
  }
  const { incarnation } = record;
  const execIncarnation = randomUUID();
  const exec = context.journal.begin({ namespace, containerId, execId, incarnation, execIncarnation });
  try {
    const { terminal, stdin, stdout, stderr } = (await context.stdio?.resolve(exec, request)) ?? request;
    await task.call('exec', { execId, terminal, stdin, stdout, stderr, spec }, call);
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
  context: TaskContext,
  task: Task,
  execId: string,
  call: TaskCall,
): Promise<ProcessExit> {
  // With an empty id the shim would delete the task and leave us its shim.
  requireExecId(execId);
  const { journal } = context;
  const record = journal.find(task.namespace, task.id, execId);
  if (record) await recordExit(context, task, record, call);
  const { pid, exitStatus, exitedAt = timestampNow() } = await task.call('delete', { execId }, call);
  if (record) journal.update(record, { ended: true });
  return { pid, exitStatus, exitedAt };
}

/**
 * Sends a signal. One that comes while the task is removed finds none, rather than a shim that goes away. SIGKILL for a task
 * whose shim has not answered this agent yet ends both. Source: the lock in containerd plugins/services/tasks/local.go.
 */
export async function killProcess(
  task: Task,
  { execId, signal, all }: Pick<KillRequest, 'execId' | 'signal' | 'all'>,
  call: TaskCall,
): Promise<void> {
  if (task.state === 'unanswering' && execId === '' && signal === SIGKILL) {
    await killUnanswering(task);
    return;
  }
  try {
    await task.call('kill', { execId, signal, all: all && execId === '' }, call);
  } catch (error) {
    if (task.state === 'live' || task.state === 'unanswering') throw error;
    await task.gone;
    throw new LongshoreError('NotFound', `task ${task.id} not found`, { cause: error });
  }
}

/** Closes this end of a process's input, when that is asked for; an exec must exist in any case. */
export async function closeProcessIo(
  task: Task,
  { execId, stdin }: Pick<CloseIORequest, 'execId' | 'stdin'>,
  call: TaskCall,
): Promise<void> {
  // The shim has no kind for one that it does not know.
  if (execId) await task.call('state', { execId }, call);
  if (stdin) await task.call('closeIO', { execId, stdin }, call);
}

export type ProcessState = MessageInitShape<typeof ProcessSchema>;

/** A shim that is slow or says nothing useful has a process of unknown status; one that is gone has none. */
export async function processState(
  { log, stdio }: TaskContext,
  task: Task,
  execId: string,
  call: Partial<TaskCall> = {},
): Promise<ProcessState> {
  const id = execId || task.id;
  try {
    const state = await task.call('state', { execId }, call, STATE_TIMEOUT_MS);
    const { pid, status, exitStatus, exitedAt } = state;
    const { terminal, stdin, stdout, stderr } = stdio?.shown(task, state) ?? state;
    const process = { id, pid, status, stdin, stdout, stderr, terminal, exitStatus };
    return exitedAt ? { ...process, exitedAt } : process;
  } catch (error) {
    if (isKind(error, 'NotFound')) throw error;
    if (error instanceof ShimGoneError) throw notFound(`task ${id}`, { cause: error });
    log.warn({ namespace: task.namespace, id, err: error }, 'state of process not known');
    return { id, status: Status.UNKNOWN };
  }
}
