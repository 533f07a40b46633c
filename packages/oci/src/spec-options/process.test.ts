import { describe, expect, it } from 'vitest';
import { defaultSpec } from './default-spec.ts';
import { withEnv } from './environment.ts';
import { withNewPrivileges, withRlimit, withTty, withTtySize } from './process.ts';
import { applySpecOptions, type SpecOption } from './spec-option.ts';

function processAfter(...options: SpecOption[]) {
  return applySpecOptions(defaultSpec({ namespace: 'default', id: 'web' }), ...options).process;
}

describe('the process', () => {
  it('has one limit of each type', () => {
    expect(processAfter(withRlimit('RLIMIT_NOFILE', 10, 20), withRlimit('RLIMIT_NPROC', 5))?.rlimits).toEqual(
      [
        { type: 'RLIMIT_NOFILE', soft: 10, hard: 20 },
        { type: 'RLIMIT_NPROC', soft: 5, hard: 5 },
      ],
    );
  });

  it('has a terminal, whose type it may have chosen itself', () => {
    expect(processAfter(withTty, withTtySize(80, 24))).toMatchObject({
      terminal: true,
      env: ['TERM=xterm'],
      consoleSize: { width: 80, height: 24 },
    });
    expect(processAfter(withEnv(['TERM=vt100']), withTty)?.env).toEqual(['TERM=vt100']);
  });

  it('gains privileges only when it is allowed to', () => {
    expect(processAfter()?.noNewPrivileges).toBe(true);
    expect(processAfter(withNewPrivileges)?.noNewPrivileges).toBe(false);
  });
});
