import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { type ErrorKind, LongshoreError, messageOf } from '@longshore/errors';

/** A failed system call, shaped like the errors of `node:fs` so that one check of `code` serves both. */
export class SystemCallError extends Error {
  /** Symbolic, e.g. `ENOENT`. */
  readonly code: string;
  /** Negative, as in Node's own errors. */
  readonly errno: number;
  readonly syscall: string;
  readonly path: string | undefined;
  readonly dest: string | undefined;

  constructor(code: string, syscall: string, path?: string, destination?: string) {
    const errno = errnoOf(code);
    super(
      `${code}: ${describe(errno)}, ${syscall}${quoted(path)}${destination ? ` ->${quoted(destination)}` : ''}`,
    );
    this.name = 'SystemCallError';
    this.code = code;
    this.errno = -errno;
    this.syscall = syscall;
    this.path = path;
    this.dest = destination;
  }

  /** `errno` is positive, as C has it. */
  static fromErrno(errno: number, syscall: string, path?: string, destination?: string): SystemCallError {
    return new SystemCallError(nameOf(errno), syscall, path, destination);
  }
}

/** True for a system error, ours or Node's, with one of these codes. */
export function isErrno(error: unknown, ...codes: string[]): boolean {
  const code = errorCode(error);
  return code !== undefined && codes.includes(code);
}

const KINDS: Readonly<Partial<Record<string, ErrorKind>>> = {
  ENOENT: 'NotFound',
  ESRCH: 'NotFound',
  ENXIO: 'NotFound',
  EEXIST: 'AlreadyExists',
  EPERM: 'PermissionDenied',
  EACCES: 'PermissionDenied',
  EINVAL: 'InvalidArgument',
  ENAMETOOLONG: 'InvalidArgument',
  ELOOP: 'InvalidArgument',
  ENOTDIR: 'FailedPrecondition',
  EISDIR: 'FailedPrecondition',
  ENOTEMPTY: 'FailedPrecondition',
  EBUSY: 'FailedPrecondition',
  EROFS: 'FailedPrecondition',
  EXDEV: 'FailedPrecondition',
  ENOSPC: 'ResourceExhausted',
  EDQUOT: 'ResourceExhausted',
  EMFILE: 'ResourceExhausted',
  ENFILE: 'ResourceExhausted',
  ENOMEM: 'ResourceExhausted',
  EFBIG: 'ResourceExhausted',
  ENOSYS: 'Unimplemented',
  ENOTSUP: 'Unimplemented',
  EIO: 'DataLoss',
  EAGAIN: 'Unavailable',
};

/** `subject` leads the message, e.g. `snapshot "a"`. One of our errors is passed on as it is. */
export function fromErrno(subject: string, error: unknown): LongshoreError {
  if (error instanceof LongshoreError) return error;
  const kind = KINDS[errorCode(error) ?? ''] ?? 'Unknown';
  return new LongshoreError(kind, `${subject}: ${messageOf(error)}`, { cause: error });
}

function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

const NUMBERS = constants.errno as Readonly<Record<string, number>>;

/** Node's name where it has one (of EOPNOTSUPP and ENOTSUP it says the latter), else `E<number>`. */
function nameOf(errno: number): string {
  const known = getSystemErrorMap().get(-errno)?.[0];
  return known ?? Object.keys(NUMBERS).find((name) => NUMBERS[name] === errno) ?? `E${errno}`;
}

function errnoOf(code: string): number {
  return NUMBERS[code] ?? Number(code.slice(1));
}

function describe(errno: number): string {
  return getSystemErrorMap().get(-errno)?.[1] ?? 'system error';
}

function quoted(path: string | undefined): string {
  return path === undefined ? '' : ` '${path}'`;
}
