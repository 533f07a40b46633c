import { LongshoreError, notFound, unavailable } from '@longshore/errors';
import { describe, expect, it } from 'vitest';
import { exitCodeOf, exitCodeOfSignal } from './exit-code.ts';
import { UsageError } from './usage-error.ts';

describe('exit codes', () => {
  it.each([
    [new Error('anything'), 1],
    [new UsageError('no such thing'), 2],
    [unavailable('server'), 3],
    [notFound('container "a"'), 4],
    [new LongshoreError('PermissionDenied', 'no'), 5],
    [new LongshoreError('Unauthenticated', 'who?'), 5],
    [new LongshoreError('Conflict', 'changed'), 6],
    [new DOMException('late', 'TimeoutError'), 7],
    [Object.assign(notFound('program'), { exitCode: 127 }), 127],
  ])('%s is %i', (error, code) => expect(exitCodeOf(error)).toBe(code));

  it('tell of a signal as shells do', () => {
    expect([exitCodeOfSignal('SIGINT'), exitCodeOfSignal('SIGTERM')]).toEqual([130, 143]);
  });
});
