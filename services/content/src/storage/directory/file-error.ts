import { LongshoreError, notFound, unavailable } from '@longshore/errors';

/** The errno of a failed system call, e.g. `ENOENT`. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}

/** A file system's error in longshore's kinds; `subject` is what was looked for. */
export function fromFileError(error: unknown, subject: string): unknown {
  switch (errnoOf(error)) {
    case 'ENOENT':
      return notFound(subject, { cause: error });
    case 'ENOSPC':
    case 'EDQUOT':
      return new LongshoreError('ResourceExhausted', `${subject}: no space left: resource exhausted`, {
        cause: error,
      });
    case 'EIO':
    case 'ENODEV':
    case 'ENOTCONN':
    case 'EROFS':
    case 'ESTALE':
      return unavailable(`${subject}: ${errnoOf(error)}`, { cause: error });
    default:
      return error;
  }
}
