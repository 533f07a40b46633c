import { describe, expect, it } from 'vitest';
import { type ErrorKind, invalidArgument, isKind, LongshoreError, notFound } from './errors.ts';
import { fromGrpcStatus, toGrpcStatus, toHttpStatus } from './status.ts';

const CODES: [ErrorKind, number][] = [
  ['Canceled', 1],
  ['Unknown', 2],
  ['InvalidArgument', 3],
  ['DeadlineExceeded', 4],
  ['NotFound', 5],
  ['AlreadyExists', 6],
  ['PermissionDenied', 7],
  ['ResourceExhausted', 8],
  ['FailedPrecondition', 9],
  ['Conflict', 9],
  ['NotModified', 9],
  ['Aborted', 10],
  ['OutOfRange', 11],
  ['Unimplemented', 12],
  ['Internal', 13],
  ['Unavailable', 14],
  ['DataLoss', 15],
  ['Unauthenticated', 16],
];

describe('gRPC status', () => {
  it.each(CODES)('%s travels as code %i and comes back as itself', (kind, code) => {
    const status = toGrpcStatus(new LongshoreError(kind, `thing "a": ${kind}`));
    expect(status.code).toBe(code);
    expect(fromGrpcStatus(status).kind).toBe(kind);
  });

  it('tells of a full disk, whoever met it', () => {
    const errno = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    const sqlite = Object.assign(new Error('database or disk is full'), { errcode: 13 });
    for (const error of [errno, sqlite]) {
      expect(toGrpcStatus(error)).toEqual({ code: 8, message: error.message });
    }
  });

  it('marks a conflict by the message tail that Go clients look for', () => {
    expect(toGrpcStatus(new LongshoreError('Conflict', 'lease "a"')).message).toBe('lease "a": conflict');
  });

  it('keeps the message, and makes anything else Unknown', () => {
    expect(toGrpcStatus(new Error('boom'))).toEqual({ code: 2, message: 'boom' });
  });

  it('sees an aborted signal as canceled, a timed-out one as deadline exceeded', () => {
    expect(toGrpcStatus(AbortSignal.abort().reason).code).toBe(1);
    expect(toGrpcStatus(new DOMException('late', 'TimeoutError')).code).toBe(4);
  });
});

describe('HTTP status', () => {
  it('follows the kind', () => {
    expect(toHttpStatus(notFound('image "a"'))).toBe(404);
    expect(toHttpStatus(invalidArgument('digest "x"'))).toBe(400);
  });
});

describe('messages', () => {
  it("lead with the subject and end in containerd's words", () => {
    const error = notFound('image "redis:7"');
    expect(error.message).toBe('image "redis:7": not found');
    expect(isKind(error, 'NotFound')).toBe(true);
  });
});
