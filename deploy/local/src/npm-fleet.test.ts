import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listProcesses, signalProcess, wasStartedWith } from './proc-table.ts';
import { cgroupParentOf } from './services.ts';
import { until } from './until.ts';

const REPO = fileURLToPath(new URL('../../..', import.meta.url));
/** Everything has to be gone by then, also on a machine that runs other tests meanwhile. */
const GONE_TIMEOUT_MS = 20_000;
/** Of a machine that runs other tests meanwhile. */
const READY_TIMEOUT_MS = 90_000;
const TEST_TIMEOUT_MS = 240_000;

const run = promisify(execFile);

let dirs: string[];
let runners: ChildProcess[];
beforeEach(() => {
  dirs = [];
  runners = [];
});
afterEach(async () => {
  for (const runner of runners) runner.kill('SIGKILL');
  await until(() => dirs.flatMap(leftovers).length === 0, GONE_TIMEOUT_MS);
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

interface Started {
  dir: string;
  npm: ChildProcess;
  output: () => string;
  exitCode: Promise<number | null>;
}

/** `npm run fleet` with directories of its own, or those of an earlier one. */
function npmRunFleet(args: string[], dir = newDir()): Started {
  const own = ['--root', join(dir, 'root'), '--state', join(dir, 'state')];
  const npm = spawn('npm', ['run', 'fleet', '--', ...own, ...args], {
    cwd: REPO,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  runners.push(npm);
  let output = '';
  for (const stream of [npm.stdout, npm.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  const exitCode = new Promise<number | null>((resolve) => npm.once('close', resolve));
  return { dir, npm, output: () => output, exitCode };
}

function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'longshore-fleet-'));
  // Postgres' own user must be able to pass through.
  chmodSync(dir, 0o711);
  dirs.push(dir);
  return dir;
}

async function ready({ output, exitCode }: Started): Promise<void> {
  let hasEnded = false;
  void exitCode.then(() => {
    hasEnded = true;
  });
  await until(() => hasEnded || output().includes('Ctrl-C ends everything'), READY_TIMEOUT_MS);
  expect(output()).toContain('Ctrl-C ends everything');
}

/** The lines that it says to try next, by what each holds. */
function suggestion({ output }: Started, part: string): string {
  const line = output()
    .split('\n')
    .find((each) => each.startsWith('  ') && each.includes(part));
  if (line === undefined) throw new Error(`no line with ${part} in:\n${output()}`);
  return line;
}

/** Runs a container on a node until it is killed, with the lines that were printed. */
async function runContainer(fleet: Started, node: string): Promise<void> {
  const pull = suggestion(fleet, ' image pull ').replace('ctr-n1', `ctr-${node}`);
  const image = /\S+\/busybox:\S+/.exec(pull)?.[0];
  await run('sh', ['-c', pull]);
  const ctr = join(fleet.dir, 'state', `ctr-${node}`);
  const { stdout } = await run(ctr, ['run', '--rm', image!, 'hello', 'hostname']);
  expect(stdout).not.toBe('');
  await run(ctr, ['run', '-d', image!, 'stays', 'sleep', '1000']);
  expect((await run(ctr, ['task', 'ls'])).stdout).toMatch(/^stays .*RUNNING/m);
}

/** All that is there of a fleet: processes, mounts, cgroups. */
function leftovers(dir: string): string[] {
  const state = join(dir, 'state');
  const isOurs = (pid: number, args: string[]) =>
    args.some((arg) => arg.includes(dir)) || wasStartedWith(pid, `LONGSHORE_FLEET=${state}`);
  const processes = listProcesses().filter(({ pid, args }) => pid !== process.pid && isOurs(pid, args));
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const bases = ['', ...readdirSync('/sys/fs/cgroup')].map((name) => join('/sys/fs/cgroup', name));
  const cgroups = ['n1', 'n2'].flatMap((id) => bases.map((base) => base + cgroupParentOf(join(state, id))));
  return [
    ...processes.map(({ args }) => args.join(' ')),
    ...mounts.filter((line) => line.includes(dir)),
    ...cgroups.filter((path) => existsSync(path)),
  ];
}

/** The network namespaces that are kept alive by processes, which is all that keeps one of ours alive. */
function networkNamespaces(): Set<string> {
  return new Set(listProcesses().flatMap(({ pid }) => namespaceOf(pid)));
}

function namespaceOf(pid: number): string[] {
  try {
    return [readlinkSync(`/proc/${pid}/ns/net`)];
  } catch {
    return [];
  }
}

/** Looks until nothing is left; what cleans up may still come and go a moment later. */
async function expectAllGone(dir: string, namespaces: Iterable<string>): Promise<void> {
  const left = () => [...leftovers(dir), ...new Set(namespaces).intersection(networkNamespaces())];
  await until(() => left().length === 0, GONE_TIMEOUT_MS);
  expect(left()).toEqual([]);
}

/** Of the processes of one fleet, but that of the machine itself. */
function namespacesOf(dir: string): Set<string> {
  const marker = `LONGSHORE_FLEET=${join(dir, 'state')}`;
  const own = listProcesses().filter(({ pid }) => wasStartedWith(pid, marker));
  const all = new Set(own.flatMap(({ pid }) => namespaceOf(pid)));
  all.delete(namespaceOf(process.pid)[0]!);
  return all;
}

describe('npm run fleet', { timeout: TEST_TIMEOUT_MS }, () => {
  it('joins nodes that run containers, refuses a second start, and is gone after SIGTERM; the next start finds them joined, and is gone after SIGKILL, whatever other fleets there are', async () => {
    const interfaces = Object.keys(networkInterfaces()).sort();
    const first = npmRunFleet(['--nodes', '2', '--replicas', '1']);
    await ready(first);
    const second = npmRunFleet(['--nodes', '1', '--replicas', '1'], first.dir);
    expect(await second.exitCode).toBe(1);
    expect(second.output()).toContain('already running, pid ');
    expect(Object.keys(networkInterfaces()).sort()).toEqual(interfaces);
    const { stdout } = await run('sh', ['-c', suggestion(first, 'curl ')]);
    const { items } = JSON.parse(stdout) as { items: { id: string; state: string }[] };
    expect(items.map(({ id, state }) => `${id} ${state}`).sort()).toEqual(['n1 ready', 'n2 ready']);
    await Promise.all(['n1', 'n2'].map((id) => runContainer(first, id)));
    const namespaces = namespacesOf(first.dir);
    expect(namespaces.size).toBe(3);
    first.npm.kill('SIGTERM');
    await expectAllGone(first.dir, namespaces);

    const again = npmRunFleet(['--nodes', '2', '--replicas', '1', '--delay', '2'], first.dir);
    const other = npmRunFleet(['--nodes', '1', '--replicas', '1']);
    await Promise.all([ready(again), ready(other)]);
    const ctr = join(again.dir, 'state/ctr-n2');
    const images = (await run(ctr, ['image', 'ls', '-q'])).stdout;
    expect(images).toContain('/busybox:latest');
    await run(ctr, ['run', '-d', images.split('\n')[0]!, 'ends-with-it', 'sleep', '1000']);
    await runContainer(other, 'n1');
    const [its, others] = [namespacesOf(again.dir), namespacesOf(other.dir)] as const;
    expect(its.intersection(others).size).toBe(0);

    again.npm.kill('SIGKILL');
    await expectAllGone(again.dir, its);
    const { stdout: tasks } = await run(join(other.dir, 'state/ctr-n1'), ['task', 'ls']);
    expect(tasks).toMatch(/^stays .*RUNNING/m);

    signalProcess(Number(readFileSync(join(other.dir, 'state/fleet.pid'), 'utf8')), 'SIGKILL');
    await expectAllGone(other.dir, others);
  });

  it('says what is wrong with an option', async () => {
    const wrong = npmRunFleet(['--nodes', 'many'], newDir());
    expect(await wrong.exitCode).toBe(2);
    expect(wrong.output()).toContain('--nodes "many": want a whole number');
  });
});
