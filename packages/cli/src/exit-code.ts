import { type ErrorKind, kindOf } from '@longshore/errors';

/**
 * How the command ends, for scripts. `run` and `exec` end as the container's process did, and with 125 where longshore itself failed,
 * 126 for a program that cannot be executed, 127 for one that is not there, as Docker does.
 */
export const ExitCode = {
  Ok: 0,
  /** Anything that has no code of its own. */
  Failure: 1,
  /** The command line is wrong; nothing was tried. */
  Usage: 2,
  /** The server cannot be reached, or what it needs. */
  Unavailable: 3,
  NotFound: 4,
  /** Not allowed, or not known. */
  Denied: 5,
  /** It is not in a state for that: it exists already, still runs, was changed meanwhile. */
  Conflict: 6,
  Timeout: 7,
  Longshore: 125,
  CannotExecute: 126,
  NoSuchProgram: 127,
} as const;

const BY_KIND: Partial<Record<ErrorKind, number>> = {
  Unavailable: ExitCode.Unavailable,
  NotFound: ExitCode.NotFound,
  PermissionDenied: ExitCode.Denied,
  Unauthenticated: ExitCode.Denied,
  AlreadyExists: ExitCode.Conflict,
  FailedPrecondition: ExitCode.Conflict,
  Conflict: ExitCode.Conflict,
  Aborted: ExitCode.Conflict,
  DeadlineExceeded: ExitCode.Timeout,
};

/** Numbers of the signals that end a command from outside. */
const SIGNAL_NUMBERS: Partial<Record<NodeJS.Signals, number>> = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };

/** An error with this field ends the command with its code, whatever its kind. */
export interface WithExitCode {
  exitCode: number;
}

export function exitCodeOf(error: unknown): number {
  const { exitCode } = Object(error) as Partial<WithExitCode>;
  if (typeof exitCode === 'number') return exitCode;
  return BY_KIND[kindOf(error)] ?? ExitCode.Failure;
}

/** As a shell tells of a process that a signal ended. */
export function exitCodeOfSignal(signal: NodeJS.Signals): number {
  return 128 + (SIGNAL_NUMBERS[signal] ?? 0);
}
