import { LongshoreError, messageOf, notFound, unavailable } from '@longshore/errors';

/** An answer that says "not now", or that makes no sense. */
export class S3StatusError extends Error {
  /** S3's, e.g. `SlowDown`; or made of the status. */
  readonly code: string;
  readonly statusCode: number;

  constructor(statusCode: number, code: string) {
    super(`${statusCode} ${code}`);
    this.name = 'S3StatusError';
    this.statusCode = statusCode;
    this.code = code;
  }
}

/** A server that has said or taken nothing for too long. */
export class S3TimeoutError extends Error {
  readonly code = 'ETIMEDOUT';

  constructor(what: string) {
    super(`${what} timed out`);
    this.name = 'S3TimeoutError';
  }
}

/** Of an object or a part that is not there. A bucket that is not there says nothing of what it holds. */
const MISSING: ReadonlySet<string> = new Set(['NoSuchKey', 'NotFound', 'NoSuchUpload']);
const FULL: ReadonlySet<string> = new Set([
  'QuotaExceeded',
  'InsufficientStorage',
  'XMinioStorageFull',
  'XMinioAdminBucketQuotaExceeded',
]);
/** Answers with a status below 500 that are worth another attempt. */
const PASSING: ReadonlySet<string> = new Set([
  'InternalError',
  'OperationAborted',
  'RequestTimeout',
  'ServiceUnavailable',
  'SlowDown',
]);
/** The connection's: the request may or may not have been heard. */
const CONNECTION: ReadonlySet<string> = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ETIMEDOUT',
  'HPE_INVALID_CONSTANT',
]);

/** S3's code, or a system's, e.g. `NoSuchKey`, `ECONNRESET`; empty when there is none. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : '';
}

export function isMissing(error: unknown): boolean {
  return MISSING.has(codeOf(error));
}

export function isPassing(error: unknown): boolean {
  if (error instanceof S3StatusError) return !FULL.has(error.code);
  const code = codeOf(error);
  return PASSING.has(code) || CONNECTION.has(code);
}

/** An S3 error in longshore's kinds; `subject` is what was asked for. S3's own is kept as the cause. */
export function fromS3Error(error: unknown, subject: string): unknown {
  if (error instanceof LongshoreError) return error;
  const code = codeOf(error);
  if (MISSING.has(code)) return notFound(subject, { cause: error });
  if (FULL.has(code)) {
    const problem = `${subject}: object store is full (${code}): resource exhausted`;
    return new LongshoreError('ResourceExhausted', problem, { cause: error });
  }
  return unavailable(`${subject}: object store: ${code || messageOf(error)}`, { cause: error });
}
