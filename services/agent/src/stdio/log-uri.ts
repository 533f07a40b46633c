import { invalidArgument } from '@longshore/errors';
import type { LogLimits } from './log-limits.ts';

/**
 * In the place of a path for stdout: the agent keeps the output. Of `tasks.v1` Create and Exec, and of the label
 * `containerd.io/restart.loguri`; `longshore://log?stdin=1&file_bytes=1048576&files=3`.
 */
export const KEPT_LOG = 'longshore://log';

export interface KeptLogOptions {
  /** Whether there is a standard input, for Attach. */
  stdin: boolean;
  /** 0: the node's own. */
  limits: LogLimits;
}

export function isKeptLog(uri: string): boolean {
  return uri === KEPT_LOG || uri.startsWith(`${KEPT_LOG}?`);
}

export function keptLogUri({ stdin, limits }: KeptLogOptions): string {
  const parameters = new URLSearchParams();
  if (stdin) parameters.set('stdin', '1');
  if (limits.fileBytes) parameters.set('file_bytes', String(limits.fileBytes));
  if (limits.files) parameters.set('files', String(limits.files));
  return parameters.size > 0 ? `${KEPT_LOG}?${parameters}` : KEPT_LOG;
}

/** Throws InvalidArgument for what does not mean anything. */
export function parseKeptLog(uri: string): KeptLogOptions {
  const options: KeptLogOptions = { stdin: false, limits: { fileBytes: 0, files: 0 } };
  for (const [name, value] of new URL(uri).searchParams) {
    if (name === 'stdin' && /^[01]$/.test(value)) options.stdin = value === '1';
    else if (name === 'file_bytes' && /^\d+$/.test(value)) options.limits.fileBytes = Number(value);
    else if (name === 'files' && /^\d+$/.test(value)) options.limits.files = Number(value);
    else throw invalidArgument(`log ${JSON.stringify(uri)}: ${name}=${value} means nothing`);
  }
  return options;
}
