import { closeSync, openSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { ended } from './child-ends.ts';
import { isErrno } from './errno.ts';
import { type Program, spawnPiped } from './spawn.ts';

/** What a script prints, and how it ends. */
async function run(script: string, more: Partial<Program> = {}) {
  const env = { PATH: process.env.PATH, ...more.env };
  const { pid, stdin, stdout, stderr } = spawnPiped({ path: '/bin/sh', args: ['-c', script], ...more, env });
  closeSync(stdin);
  const printed = readFileSync(stdout, 'utf8').trim();
  for (const fd of [stdout, stderr]) closeSync(fd);
  return { pid, printed, end: await ended(pid) };
}

describe('spawnPiped', () => {
  it('runs it in its directory, with its environment alone', async () => {
    const { printed } = await run('pwd; env | grep -c HOME; echo $NAME', {
      cwd: '/usr',
      env: { NAME: 'a b' },
    });
    expect(printed).toBe('/usr\n0\na b');
  });

  it('gives it a session of its own, and none of our signals and descriptors', async () => {
    const { printed: session, pid } = await run('cut -d" " -f6 /proc/$$/stat');
    expect(Number(session)).toBe(pid);
    const { printed: signals } = await run('sed -n "s/^Sig\\(Blk\\|Ign\\):.//p" /proc/self/status');
    const [blocked, ignored] = signals.split('\n').map((mask) => BigInt(`0x${mask}`));
    expect(blocked).toBe(0n);
    // Node ignores it, as whoever started Node may do with others.
    expect(ignored! & (1n << BigInt(constants.signals.SIGPIPE - 1))).toBe(0n);
    const kept = openSync('/dev/null', 'r');
    expect((await run(`test -e /proc/self/fd/${kept} || echo none`)).printed).toBe('none');
    closeSync(kept);
  });

  it('refuses what is not there', () => {
    const notThere = expect.toSatisfy((error) => isErrno(error, 'ENOENT'));
    expect(() => spawnPiped({ path: '/nowhere/sh', args: [], env: {} })).toThrow(notThere);
    expect(() => spawnPiped({ path: '/bin/sh', args: [], env: {}, cwd: '/nowhere' })).toThrow(notThere);
  });
});

describe('ended', () => {
  it('tells of each how it ended, however many end at once', async () => {
    const codes = Array.from({ length: 20 }, (_, code) => code);
    const ends = await Promise.all(codes.map(async (code) => (await run(`exit ${code}`)).end));
    expect(ends).toEqual(codes.map((code) => ({ code })));
    expect((await run('kill -9 $$')).end).toEqual({ signal: 9 });
  });
});
