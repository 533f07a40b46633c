import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kindOf } from '@longshore/errors';
import { afterAll, describe, expect, it } from 'vitest';
import { execProcess, type WantedProcess } from './exec-process.ts';
import { userOf } from './user-of.ts';

const SPEC = Buffer.from(
  `{"process":{"args":["init"],"cwd":"/work","env":["PATH=/bin","A=1"],"user":{"uid":7,"gid":8},"consoleSize":{"width":1,"height":2},
  "rlimits":[{"type":"RLIMIT_FSIZE","hard":18446744073709551615,"soft":9007199254740993}],"noNewPrivileges":true}}`,
);
const SAME: WantedProcess = { args: ['ls'], env: [], cwd: '', user: '', terminal: false, size: undefined };
const rootfs = mkdtempSync(join(tmpdir(), 'longshore-rootfs-'));
afterAll(() => rmSync(rootfs, { recursive: true }));
mkdirSync(join(rootfs, 'etc'));
writeFileSync(join(rootfs, 'etc/passwd'), 'app:x:1000:50::/:/bin/sh\n');
writeFileSync(join(rootfs, 'etc/group'), 'staff:x:50:\nwheel:x:10:app\n');

function processOf(wanted: Partial<WantedProcess>): string {
  return Buffer.from(execProcess(SPEC, { ...SAME, ...wanted }, (user) => userOf(rootfs, user))).toString();
}

describe('execProcess', () => {
  it("is the container's own process but for what is asked for, digit for digit", () => {
    expect(processOf({})).toBe(
      '{"args":["ls"],"cwd":"/work","env":["PATH=/bin","A=1"],"user":{"uid":7,"gid":8},' +
        '"rlimits":[{"type":"RLIMIT_FSIZE","hard":18446744073709551615,"soft":9007199254740993}],' +
        '"noNewPrivileges":true,"terminal":false}',
    );
    expect(JSON.parse(processOf({ env: ['A=2', 'B='], cwd: '/', user: '5', terminal: true }))).toMatchObject({
      cwd: '/',
      env: ['TERM=xterm', 'PATH=/bin', 'A=2', 'B='],
      user: { uid: 5, gid: 0, additionalGids: [0] },
      terminal: true,
    });
    expect(JSON.parse(processOf({ user: 'app' }))).toMatchObject({
      user: { uid: 1000, gid: 50, additionalGids: [50, 10] },
    });
    expect(JSON.parse(processOf({ terminal: true, size: { width: 80, height: 24 } }))).toMatchObject({
      consoleSize: { width: 80, height: 24 },
    });
  });

  it.each([
    [{ args: [] }, 'InvalidArgument'],
    [{ user: '1:2:3' }, 'InvalidArgument'],
    [{ user: '2147483648' }, 'InvalidArgument'],
    [{ user: 'nobody-knows' }, 'NotFound'],
  ] as const)('refuses %j as %s', (wanted, kind) => {
    let refused: unknown;
    try {
      processOf(wanted);
    } catch (error) {
      refused = error;
    }
    expect(kindOf(refused)).toBe(kind);
  });
});
