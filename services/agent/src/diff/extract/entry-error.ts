import { invalidArgument, LongshoreError } from '@longshore/errors';
import { fromErrno, isErrno } from '@longshore/linux';
import { type ByteString, printable } from '../tar/byte-string.ts';

/** What only the archive's contents can be the cause of, as nobody else names files in the directory. */
const ARCHIVES_FAULT = [
  'ENOENT',
  'EEXIST',
  'ENOTDIR',
  'EISDIR',
  'ENOTEMPTY',
  'ELOOP',
  'ENAMETOOLONG',
  'EINVAL',
  'EMLINK',
  'EXDEV',
  'ERANGE',
];

/**
 * The error of one entry, led by its name. What the archive is to blame for is InvalidArgument, so that no caller
 * takes a missing link target for a missing layer; the node's own troubles (disk full, read-only) keep their kind.
 */
export function entryError(name: ByteString, error: unknown): LongshoreError {
  const subject = `layer entry ${printable(name)}`;
  if (error instanceof LongshoreError) {
    return new LongshoreError(error.kind, `${subject}: ${error.message}`, { cause: error });
  }
  if (isErrno(error, ...ARCHIVES_FAULT) && error instanceof Error) {
    return invalidArgument(`${subject}: ${error.message}`, { cause: error });
  }
  return fromErrno(subject, error);
}
