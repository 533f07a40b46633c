import { invalidArgument, LongshoreError } from '@longshore/errors';

const UNIQUE_VIOLATION = '23505';
const FOREIGN_KEY_VIOLATION = '23503';
const LOCK_NOT_AVAILABLE = '55P03';
const QUERY_CANCELED = '57014';

/** SQLSTATE classes that say "not now": connection lost, shutting down, out of slots, lost a deadlock. */
const UNAVAILABLE_CLASSES: ReadonlySet<string> = new Set(['08', '57', '53', '40']);
/** What no text column takes, a NUL character above all; and more bytes than an index takes. */
const INVALID_TEXT: ReadonlySet<string> = new Set(['22021', '22P05', '54000']);
const UNAVAILABLE_ERRNOS: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'EPIPE',
  'ETIMEDOUT',
]);

/** True for a violated unique constraint; of that name, when one is given. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  return violates(error, UNIQUE_VIOLATION, constraint);
}

export function isForeignKeyViolation(error: unknown, constraint?: string): boolean {
  return violates(error, FOREIGN_KEY_VIOLATION, constraint);
}

/** An error of `pg` in longshore's kinds; errors that are longshore's own, and bugs, stay as they are. */
export function fromSqlError(error: unknown): unknown {
  if (error instanceof LongshoreError || !(error instanceof Error)) return error;
  const code = codeOf(error);
  if (code === QUERY_CANCELED || code === LOCK_NOT_AVAILABLE) return unavailableBecause(error);
  if (code !== undefined && INVALID_TEXT.has(code)) return invalidArgument(error.message, { cause: error });
  const isAway = code === undefined ? isConnectionMessage(error) : isAwayCode(code);
  return isAway ? unavailableBecause(error) : error;
}

function violates(error: unknown, state: string, constraint: string | undefined): boolean {
  if (!(error instanceof Error) || codeOf(error) !== state) return false;
  return constraint === undefined || (error as { constraint?: string }).constraint === constraint;
}

function isAwayCode(code: string): boolean {
  return UNAVAILABLE_ERRNOS.has(code) || (code.length === 5 && UNAVAILABLE_CLASSES.has(code.slice(0, 2)));
}

/** `pg` reports a connection that broke, or could not be made in time, by message only. */
function isConnectionMessage(error: Error): boolean {
  return /^(Connection terminated|Query read timeout|timeout expired|timeout exceeded when trying to connect|Client has encountered)/.test(
    error.message,
  );
}

function unavailableBecause(error: Error): LongshoreError {
  return new LongshoreError('Unavailable', `database: ${error.message}`, { cause: error });
}

function codeOf(error: Error): string | undefined {
  return (error as { code?: string }).code;
}
