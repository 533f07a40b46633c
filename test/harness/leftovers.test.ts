import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AT_FDCWD,
  cgroupHierarchies,
  killCgroup,
  mknodat,
  mount,
  removeCgroup,
  unmount,
} from '@longshore/linux';
import { afterAll, expect, it } from 'vitest';
import { TaskJournal } from '../../services/agent/src/tasks/task-journal.ts';
import { shimSocket } from '../../services/agent/src/tasks/testing/shim-socket.ts';
import { leftovers, networkNamespacesIn } from './leftovers.ts';
import { waitUntil } from './wait-until.ts';

const directory = mkdtempSync(join(tmpdir(), 'leftovers-'));
const owned = {
  root: join(directory, 'root'),
  state: join(directory, 'state'),
  socket: join(directory, 'node.sock'),
  cgroupParent: `/longshore-test-${randomBytes(4).toString('hex')}`,
};
const { root, state, socket, cgroupParent } = owned;
const children: ChildProcess[] = [];

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await removeCgroup(cgroupParent);
  rmSync(directory, { recursive: true });
});

function run(command: string, args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const child = spawn(command, args, { stdio: 'ignore', env: { PATH: process.env.PATH, ...env } });
  children.push(child);
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

type Undo = () => void | Promise<void>;

function makeDirectory(...path: string[]): Undo {
  mkdirSync(join(...path), { recursive: true });
  return () => rmSync(join(...path), { recursive: true });
}

function makeFifo(...path: string[]): Undo {
  mkdirSync(join(...path, '..'), { recursive: true });
  mknodat(AT_FDCWD, join(...path), constants.S_IFIFO | 0o600, 0);
  return () => rmSync(join(...path));
}

/** How each kind is reported, and one of it. */
const KINDS: Record<string, () => Undo | Promise<Undo>> = {
  process() {
    const child = run('sleep', ['1000'], { SOCKET: join(state, 'agent.sock') });
    return () => end(child);
  },
  async mount() {
    mkdirSync(join(root, 'mounted'), { recursive: true });
    await mount('tmpfs', join(root, 'mounted'), 'tmpfs', 0, '');
    return () => unmount(join(root, 'mounted'));
  },
  bundle: () => makeDirectory(state, 'io.containerd.runtime.v2.task', 'default', 'web'),
  'work directory': () => makeDirectory(root, 'io.containerd.runtime.v2.task', 'default', 'web'),
  "runc's state": () => makeDirectory(state, 'runc', 'default', 'web'),
  fifo: () => makeFifo(state, 'stdio', 'default', 'web', 'incarnation', 'stdin'),
  "shim's socket"() {
    mkdirSync(root, { recursive: true });
    const key = { incarnation: 'i', execIncarnation: '' };
    const journal = new TaskJournal(join(root, 'tasks.db'));
    journal.begin({ ...key, namespace: 'default', containerId: 'web', execId: '' });
    journal.end('i');
    journal.close();
    const path = shimSocket(socket, 'default', 'web');
    writeFileSync(path, '');
    return () => rmSync(path);
  },
};

it.each(Object.entries(KINDS))('a %s is counted as left behind, until it is gone', async (kind, leave) => {
  expect(leftovers(owned)).toEqual([]);
  const undo = await leave();
  expect(leftovers(owned)).toEqual([expect.stringContaining(kind)]);
  await undo();
  expect(leftovers(owned)).toEqual([]);
});

it('a cgroup is counted as left behind, and the network namespace of a process in it', async () => {
  const inItsOwn = run('unshare', ['--net', 'sleep', '1000']);
  const cgroup = join(cgroupHierarchies()[0]!, cgroupParent);
  mkdirSync(join(cgroup, 'default', 'web'), { recursive: true });
  writeFileSync(join(cgroup, 'default', 'web', 'cgroup.procs'), String(inItsOwn.pid));
  expect(await waitUntil(() => networkNamespacesIn(cgroupParent).length === 1)).toBe(true);
  expect(leftovers(owned)).toEqual([
    `cgroup ${cgroup}`,
    expect.stringMatching(/^network namespace net:\[\d+\]$/),
  ]);
  await killCgroup(cgroupParent);
  await removeCgroup(cgroupParent);
  expect(leftovers(owned)).toEqual([]);
});
