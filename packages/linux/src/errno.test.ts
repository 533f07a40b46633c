import { readFileSync } from 'node:fs';
import { notFound } from '@longshore/errors';
import { describe, expect, it } from 'vitest';
import { fromErrno, isErrno, SystemCallError } from './errno.ts';

describe('SystemCallError', () => {
  it('reads like an error of node:fs', () => {
    const error = SystemCallError.fromErrno(17, 'linkat', 'a', 'b');
    expect(error).toMatchObject({ code: 'EEXIST', errno: -17, syscall: 'linkat', path: 'a', dest: 'b' });
    expect(error.message).toBe("EEXIST: file already exists, linkat 'a' -> 'b'");
  });

  it('has a name also for numbers that Node has no name for', () => {
    expect(SystemCallError.fromErrno(117, 'mount')).toMatchObject({ code: 'E117', errno: -117 });
  });
});

describe('isErrno', () => {
  it("knows our errors and Node's", () => {
    expect(isErrno(new SystemCallError('ENOENT', 'open'), 'EEXIST', 'ENOENT')).toBe(true);
    expect(isErrno(new SystemCallError('EPERM', 'open'), 'ENOENT')).toBe(false);
    expect(isErrno(new Error('ENOENT'), 'ENOENT')).toBe(false);
    expect(() => readFileSync('/absent')).toThrow(expect.toSatisfy((error) => isErrno(error, 'ENOENT')));
  });
});

describe('fromErrno', () => {
  it.each([
    ['ENOENT', 'NotFound'],
    ['EEXIST', 'AlreadyExists'],
    ['EPERM', 'PermissionDenied'],
    ['ENOSPC', 'ResourceExhausted'],
    ['EROFS', 'FailedPrecondition'],
    ['EPIPE', 'Unknown'],
  ])('%s is %s, led by the subject and with its cause', (code, kind) => {
    const cause = new SystemCallError(code, 'mkdirat', 'x');
    const error = fromErrno('snapshot "a"', cause);
    expect(error).toMatchObject({ kind, cause });
    expect(error.message).toBe(`snapshot "a": ${cause.message}`);
  });

  it('passes our own errors on', () => {
    const error = notFound('image "a"');
    expect(fromErrno('pull', error)).toBe(error);
  });
});
