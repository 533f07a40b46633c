/**
 * The kinds of error that longshore knows: containerd's error classes and nothing else, so that a client
 * rebuilds the class that it would have seen from containerd.
 * Source: containerd/errdefs errors.go.
 */
export type ErrorKind =
  | 'InvalidArgument'
  | 'NotFound'
  | 'AlreadyExists'
  | 'PermissionDenied'
  | 'ResourceExhausted'
  | 'FailedPrecondition'
  | 'Conflict'
  | 'NotModified'
  | 'Aborted'
  | 'OutOfRange'
  | 'Unimplemented'
  | 'Internal'
  | 'Unavailable'
  | 'DataLoss'
  | 'Unauthenticated'
  | 'Canceled'
  | 'DeadlineExceeded'
  | 'Unknown';

/** An error of a known kind. `message` leads with the subject: `image "redis:7": not found`. */
export class LongshoreError extends Error {
  readonly kind: ErrorKind;

  constructor(kind: ErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LongshoreError';
    this.kind = kind;
  }
}

/** As SQLite numbers it. */
const SQLITE_FULL = 13;
/** As Linux numbers it, on every architecture: Node has no name for it. */
const EDQUOT = 122;

/**
 * The kind of any thrown value; `Unknown` for what is not one of ours. An aborted signal is `Canceled`; a full disk, which
 * can be met wherever something is written, `ResourceExhausted`.
 */
export function kindOf(error: unknown): ErrorKind {
  if (error instanceof LongshoreError) return error.kind;
  if (isOutOfSpace(error)) return 'ResourceExhausted';
  if (error instanceof Error && error.name === 'AbortError') return 'Canceled';
  if (error instanceof Error && error.name === 'TimeoutError') return 'DeadlineExceeded';
  return 'Unknown';
}

function isOutOfSpace(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, errno, errcode } = error as { code?: unknown; errno?: unknown; errcode?: unknown };
  return code === 'ENOSPC' || code === 'EDQUOT' || errno === -EDQUOT || errcode === SQLITE_FULL;
}

export function isKind(error: unknown, ...kinds: ErrorKind[]): boolean {
  return kinds.includes(kindOf(error));
}

/** `subject` is what was looked for, e.g. `container "web" in namespace "default"`. */
export function notFound(subject: string, options?: ErrorOptions): LongshoreError {
  return new LongshoreError('NotFound', `${subject}: not found`, options);
}

export function alreadyExists(subject: string, options?: ErrorOptions): LongshoreError {
  return new LongshoreError('AlreadyExists', `${subject}: already exists`, options);
}

/** `problem` says which value is wrong and why, e.g. `identifier "a b" must match …`. */
export function invalidArgument(problem: string, options?: ErrorOptions): LongshoreError {
  return new LongshoreError('InvalidArgument', `${problem}: invalid argument`, options);
}

export function failedPrecondition(problem: string, options?: ErrorOptions): LongshoreError {
  return new LongshoreError('FailedPrecondition', `${problem}: failed precondition`, options);
}

export function unavailable(problem: string, options?: ErrorOptions): LongshoreError {
  return new LongshoreError('Unavailable', `${problem}: unavailable`, options);
}

export function outOfRange(problem: string, options?: ErrorOptions): LongshoreError {
  return new LongshoreError('OutOfRange', `${problem}: out of range`, options);
}

export function unimplemented(what: string, options?: ErrorOptions): LongshoreError {
  return new LongshoreError('Unimplemented', `${what}: not implemented`, options);
}

export function internal(problem: string, options?: ErrorOptions): LongshoreError {
  return new LongshoreError('Internal', `${problem}: internal`, options);
}

/** The message of any thrown value, for logs and wrapping. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
