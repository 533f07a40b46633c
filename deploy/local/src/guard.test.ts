import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { processInfo, signalProcess } from './proc-table.ts';
import { until } from './until.ts';

/** Everything has to be gone by then. */
const GONE_TIMEOUT_MS = 10_000;

let dir: string;
let owner: ChildProcess | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'longshore-guard-'));
  chmodSync(dir, 0o711);
});
afterEach(async () => {
  owner?.kill('SIGKILL');
  // The guardian does it; but for the test that has something mounted there.
  await until(() => !existsSync(dir), 1000);
  rmSync(dir, { recursive: true, force: true });
});

/** Runs a program that uses this package in a process of its own; resolves with the JSON that it prints. */
async function runOwner<T>(program: string): Promise<T> {
  const imports = ['guard', 'managed-process', 'nats', 'postgres']
    .map((name, i) => `import * as m${i} from ${JSON.stringify(import.meta.resolve(`./${name}.ts`))};`)
    .join('\n');
  const prelude = `${imports}
    const { guard } = m0, { ManagedProcess } = m1, { startNats } = m2, { startPostgres } = m3;
    const dir = ${JSON.stringify(dir)};
    guard().removeWithUs(dir);`;
  owner = spawn(process.execPath, ['--input-type=module', '-e', prelude + program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (owner.stdout === null) throw new Error('no stdout');
  const [line] = await once(createInterface(owner.stdout), 'line');
  return JSON.parse(line);
}

const isGone = (pid: number) => processInfo(pid) === undefined;

describe('guard', () => {
  it('ends Postgres, NATS and stubborn processes of an owner that was killed', async () => {
    const pids = await runOwner<number[]>(`
      const postgres = await startPostgres(dir + '/postgres', { durable: false });
      const nats = await startNats(dir + '/nats');
      const deaf = new ManagedProcess({ name: 'deaf', command: 'sh', logPath: dir + '/deaf.log',
        args: ['-c', "trap '' TERM; while :; do sleep 1; done"], env: process.env });
      console.log(JSON.stringify([postgres.process.pid, nats.process.pid, deaf.pid]));`);
    expect(pids.filter(isGone)).toEqual([]);
    owner?.kill('SIGKILL');
    expect(await until(() => pids.every(isGone), GONE_TIMEOUT_MS)).toBe(true);
    expect(await until(() => !existsSync(dir), GONE_TIMEOUT_MS)).toBe(true);
  }, 30_000);

  it('ends what its processes started, cgroups, and mounts but for those of before', async () => {
    const cgroup = `longshore-test-${process.pid}`;
    const [cgroups] = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'].filter((path) => existsSync(path));
    mkdirSync(join(cgroups ?? '', cgroup, 'inner'), { recursive: true });
    for (const name of ['disk', 'root fs']) mkdirSync(join(dir, 'state', name), { recursive: true });
    const mount = (name: string) =>
      execFileSync('mount', ['-t', 'tmpfs', 'longshore-test', join(dir, 'state', name)]);
    const mounts = () =>
      readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .filter((line) => line.includes(dir));
    mount('disk');
    const container = spawn('sleep', ['1000'], { stdio: 'ignore' });
    writeFileSync(join(cgroups ?? '', cgroup, 'inner/cgroup.procs'), String(container.pid));

    const [pid] = await runOwner<[number]>(`
      guard().protect(dir + '/state');
      guard().protectCgroup('/${cgroup}');
      const parent = new ManagedProcess({ name: 'parent', command: 'sh', env: process.env, logPath: dir + '/p.log',
        args: ['-c', 'setsid sleep 1000 & echo $! > "$0"; wait', dir + '/grandchild'] });
      console.log(JSON.stringify([parent.pid]));`);
    const grandchild = () => Number(read('grandchild'));
    expect(await until(() => grandchild() > 0, 5000)).toBe(true);
    const pids = [pid, grandchild(), container.pid ?? 0];
    mount('root fs');
    owner?.kill('SIGKILL');

    expect(await until(() => pids.every(isGone), GONE_TIMEOUT_MS)).toBe(true);
    expect(await until(() => mounts().length === 1, GONE_TIMEOUT_MS)).toBe(true);
    expect(mounts()[0]).toContain('/state/disk ');
    execFileSync('umount', [join(dir, 'state/disk')]);
    expect(await until(() => !existsSync(join(cgroups ?? '', cgroup)), GONE_TIMEOUT_MS)).toBe(true);
  }, 30_000);

  it('is not ended by the signals of a terminal or a session', async () => {
    const { pid } = await runOwner<{ pid: number }>(`
      const sleep = new ManagedProcess({ name: 'sleep', command: 'sleep', args: ['1000'], env: process.env,
        logPath: dir + '/s.log' });
      console.log(JSON.stringify({ pid: sleep.pid }));`);
    const guardians = childrenOf(owner?.pid ?? 0).filter((child) => child !== pid);
    expect(guardians).toHaveLength(1);
    for (const guardian of guardians) {
      for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) signalProcess(-guardian, signal);
    }
    owner?.kill('SIGKILL');
    expect(await until(() => isGone(pid), GONE_TIMEOUT_MS)).toBe(true);
  }, 30_000);
});

function childrenOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return children.split(' ').filter(Boolean).map(Number);
}

function read(name: string): string {
  return existsSync(join(dir, name)) ? readFileSync(join(dir, name), 'utf8') : '';
}
