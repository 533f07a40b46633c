import type { Labels } from '@longshore/oci';
import { RestartLabel } from './restart-labels.ts';

export type RestartPolicy =
  | { name: 'no' | 'always' | 'unless-stopped' }
  /** 0: without a limit. */
  | { name: 'on-failure'; maxRetries: number };

/** What is found of a container's task. unknown: its shim does not say. */
export type TaskStatus = 'absent' | 'created' | 'running' | 'paused' | 'stopped' | 'unknown';

export interface FoundTask {
  status: TaskStatus;
  /** 0 unless it is stopped. */
  exitStatus: number;
}

/** Undefined for what is no policy: such a container is never started. */
export function parsePolicy(label: string): RestartPolicy | undefined {
  const [name = '', ...rest] = label.split(':');
  switch (name) {
    case '':
    case 'always':
      return rest.length === 0 ? { name: 'always' } : undefined;
    case 'no':
    case 'unless-stopped':
      return rest.length === 0 ? { name } : undefined;
    case 'on-failure': {
      const maxRetries = rest.length === 0 ? 0 : parseInteger(rest[0]!);
      return maxRetries === undefined ? undefined : { name, maxRetries };
    }
    default:
      return undefined;
  }
}

/**
 * What a container's labels want done about its task; undefined for nothing. As in containerd, `on-failure` starts no
 * task that is not there: nobody knows how the last one ended. Source: containerd plugins/restart/monitor.go; a task
 * whose shim says nothing is ended and made anew there, and waited for here.
 */
export function wants(labels: Labels, { status, exitStatus }: FoundTask): 'start' | 'stop' | undefined {
  if (status === 'unknown') return undefined;
  const desired = labels[RestartLabel.Status];
  if (desired === 'stopped') return status === 'absent' || status === 'stopped' ? undefined : 'stop';
  if (desired !== 'running' || status === 'running' || status === 'paused') return undefined;
  return mayStart(labels, exitStatus) ? 'start' : undefined;
}

/** How often the monitor has started the task; undefined for what is no number. */
export function countOf(labels: Labels): number | undefined {
  const label = labels[RestartLabel.Count] ?? '';
  return label === '' ? 0 : parseInteger(label);
}

function mayStart(labels: Labels, exitStatus: number): boolean {
  const policy = parsePolicy(labels[RestartLabel.Policy] ?? '');
  switch (policy?.name) {
    case 'always':
      return true;
    case 'unless-stopped':
      return !isTrue(labels[RestartLabel.ExplicitlyStopped] ?? '');
    case 'on-failure': {
      const count = countOf(labels);
      if (exitStatus === 0 || count === undefined) return false;
      return policy.maxRetries === 0 || count < policy.maxRetries;
    }
    default:
      return false;
  }
}

/** As Go's strconv.Atoi: decimal, with a sign. */
function parseInteger(text: string): number | undefined {
  return /^[+-]?\d+$/.test(text) ? Number(text) : undefined;
}

/** As Go's strconv.ParseBool. */
function isTrue(text: string): boolean {
  return ['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text);
}
