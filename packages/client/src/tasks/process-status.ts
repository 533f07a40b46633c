import { type Process, Status } from '@longshore/proto/containerd/v1/types/task';
import { dateOf } from '../call-time.ts';
import type { StdioPaths } from '../io/process-io.ts';
import type { ExitStatus } from './exit-status.ts';

/** created → running → stopped, and running ↔ paused; unknown when its shim did not answer. */
export type ProcessState = 'unknown' | 'created' | 'running' | 'stopped' | 'paused' | 'pausing';

export interface ProcessStatus {
  readonly state: ProcessState;
  readonly pid: number;
  /** Of a stopped one. */
  readonly exit: ExitStatus | undefined;
  readonly stdio: StdioPaths;
}

const STATES: Readonly<Record<Status, ProcessState>> = {
  [Status.UNKNOWN]: 'unknown',
  [Status.CREATED]: 'created',
  [Status.RUNNING]: 'running',
  [Status.STOPPED]: 'stopped',
  [Status.PAUSED]: 'paused',
  [Status.PAUSING]: 'pausing',
};

export function processStatusFromProto(process: Process): ProcessStatus {
  const { pid, stdin, stdout, stderr, terminal, exitStatus, exitedAt } = process;
  const state = STATES[process.status] ?? 'unknown';
  const exit = { code: exitStatus, exitedAt: dateOf(exitedAt) };
  return {
    state,
    pid,
    exit: state === 'stopped' ? exit : undefined,
    stdio: { stdin, stdout, stderr, terminal },
  };
}
