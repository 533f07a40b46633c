import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Instance, instanceAt } from './instance.ts';
import { listProcesses, type ProcessInfo, signalProcess, wasStartedWith } from './proc-table.ts';
import { cgroupParentOf } from './services.ts';
import { until } from './until.ts';

const REPO = fileURLToPath(new URL('../../..', import.meta.url));
/** Everything has to be gone by then, also on a machine that runs other tests meanwhile. */
const GONE_TIMEOUT_MS = 20_000;
/** Of a machine that runs other tests meanwhile. */
const OUTPUT_TIMEOUT_MS = 45_000;
const TEST_TIMEOUT_MS = 120_000;

let dir: string;
let instance: Instance;
let npm: ChildProcess | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'longshore-start-'));
  // Postgres' own user must be able to pass through.
  chmodSync(dir, 0o711);
  instance = instanceAt(join(dir, 'root'), join(dir, 'state'), undefined);
});
afterEach(async () => {
  npm?.kill('SIGKILL');
  await until(() => leftovers().length === 0, GONE_TIMEOUT_MS);
  rmSync(dir, { recursive: true, force: true });
});

/** `npm start` for this test's own instance; `output` grows as it speaks. */
function npmStart(...args: string[]): {
  child: ChildProcess;
  output: () => string;
  exitCode: Promise<number | null>;
} {
  const own = ['--root', instance.root, '--state', instance.state];
  const child = spawn('npm', ['start', '--', ...own, ...args], {
    cwd: REPO,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  npm = child;
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => (output += text));
  const exitCode = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, output: () => output, exitCode };
}

/** All that is ours and still there: processes, mounts, cgroups. */
function leftovers(): string[] {
  const mentions = ({ pid, args }: ProcessInfo) =>
    args.some((arg) => arg.includes(dir)) || wasStartedWith(pid, `LONGSHORE_STATE=${instance.state}`);
  const processes = listProcesses().filter((info) => info.pid !== process.pid && mentions(info));
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const cgroup = cgroupParentOf(instance.state);
  const cgroups = ['/sys/fs/cgroup', '/sys/fs/cgroup/pids', '/sys/fs/cgroup/systemd'].map(
    (base) => base + cgroup,
  );
  return [
    ...processes.map(({ args }) => args.join(' ')),
    ...mounts.filter((line) => line.includes(dir)),
    ...cgroups.filter((path) => existsSync(path)),
  ];
}

function announcedPid(service: string): number | undefined {
  const path = join(instance.state, `${service}.json`);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).pid : undefined;
}

function programPid(): number {
  return Number(readFileSync(join(instance.state, 'longshore.pid'), 'utf8'));
}

async function expectOutput(output: () => string, text: string): Promise<void> {
  const seen = await until(() => output().includes(text), OUTPUT_TIMEOUT_MS);
  expect(seen, `waiting for "${text}" in:\n${output()}`).toBe(true);
}

/** Looks until nothing is left; what cleans up may still come and go a moment later. */
async function expectAllGone(): Promise<void> {
  let left: string[] = [];
  const areGone = () => {
    left = leftovers();
    return left.length === 0;
  };
  expect(await until(areGone, GONE_TIMEOUT_MS), left.join('\n')).toBe(true);
}

describe('npm start', { timeout: TEST_TIMEOUT_MS }, () => {
  it('stays up, tells where things are, refuses a second start, starts a killed service again, and is gone, container and all, after npm got SIGTERM', async () => {
    const first = npmStart('--', 'sleep', '1000');
    await expectOutput(first.output, 'longshore is up');
    expect(first.output()).toContain(instance.socket);
    const pid = programPid();
    const second = npmStart();
    expect(await second.exitCode).toBe(1);
    expect(second.output()).toContain(`already running, pid ${pid}`);

    const image = () => announcedPid('image');
    const killed = image() ?? 0;
    signalProcess(killed, 'SIGKILL');
    await expectOutput(first.output, 'image exited with signal SIGKILL; restarting in 0.5 s');
    expect(await until(() => image() !== killed && image() !== undefined, OUTPUT_TIMEOUT_MS)).toBe(true);

    first.child.kill('SIGTERM');
    await expectAllGone();
    // Its tasks first, while there are services to ask.
    expect(first.output()).toMatch(/^ending hello-/m);
    expect(first.output()).not.toContain('could not be ended in order');
  });

  it('ends in order when its terminal goes while it starts', async () => {
    const { output, exitCode } = npmStart();
    await expectOutput(output, 'starting the services');
    signalProcess(programPid(), 'SIGHUP');
    expect(await exitCode).toBe(0);
    expect(leftovers()).toEqual([]);
  });

  it.each([
    ['npm', (npm: ChildProcess) => void npm.kill('SIGKILL')],
    ['its own program', () => signalProcess(programPid(), 'SIGKILL')],
  ])('is gone, container and all, after %s was killed', async (_, kill) => {
    const { child, output } = npmStart('--', 'sleep', '1000');
    await expectOutput(output, '/tasks/start');
    expect(leftovers()).not.toEqual([]);
    kill(child);
    await expectAllGone();
  });
});
