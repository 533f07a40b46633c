import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AT_FDCWD, cgroupHierarchies, MountFlag, mknodat, mount, unmount } from '@longshore/linux';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { CALL, NAMESPACE, SOON, TaskFixture } from '../task-fixture.testing.ts';
import { networkNamespace } from './network-namespaces.ts';

let node: TaskFixture;

beforeEach(async () => {
  node = await TaskFixture.open();
});

afterEach(async () => {
  await node.close();
});

const PLUGIN = 'io.containerd.runtime.v2.task';
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

function running(command: string, args: string[], argv0 = command): ChildProcess & { end: Undo } {
  const child = spawn(command, args, { stdio: 'ignore', argv0 });
  const exited = once(child, 'exit');
  const end = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  onTestFinished(end);
  return Object.assign(child, { end });
}

/** One of each kind. */
const LEFTOVERS: Record<string, (node: TaskFixture) => Undo | Promise<Undo>> = {
  process: ({ directory }) => running('sleep', ['1000'], join(directory, 'logger')).end,
  "shim's socket"({ containers, shimSocket }) {
    containers.set('web', {} as never);
    const path = shimSocket.call(node, 'web');
    writeFileSync(path, '');
    return () => rmSync(path);
  },
  async mount({ directory }) {
    const path = join(directory, 'image', 'tmp');
    await mount('tmpfs', path, 'tmpfs', 0, '');
    return () => unmount(path);
  },
  bundle: ({ stateDir }) => makeDirectory(stateDir, PLUGIN, NAMESPACE, 'web'),
  'work directory': ({ rootDir }) => makeDirectory(rootDir, PLUGIN, NAMESPACE, 'web'),
  "runc's state": ({ stateDir }) => makeDirectory(stateDir, 'runc', NAMESPACE, 'web'),
  fifo: ({ stateDir }) => makeFifo(stateDir, 'stdio', NAMESPACE, 'web', 'stdin'),
  "log's fifo": ({ rootDir }) => makeFifo(rootDir, 'log'),
  cgroup({ cgroupParent }) {
    const path = join(cgroupHierarchies()[0]!, cgroupParent, NAMESPACE, 'web');
    mkdirSync(path, { recursive: true });
    return () => rmdirSync(path);
  },
};

describe('what is counted as left behind', () => {
  it('is each of these, until it is gone', async () => {
    for (const [what, leave] of Object.entries(LEFTOVERS)) {
      expect(node.leftovers(), `before: ${what}`).toEqual([]);
      const undo = await leave(node);
      expect(node.leftovers(), what).toHaveLength(1);
      await undo();
    }
    expect(node.leftovers()).toEqual([]);
  });

  it('is a network namespace that somebody holds: a process, a mount, this process', async () => {
    const task = await node.run('web', ['sleep', '1000']);
    const file = `/proc/${task.record.pid}/ns/net`;
    const entered = running('nsenter', [`--net=${file}`, 'sleep', '1000']);
    await expect.poll(() => networkNamespace(entered.pid!), SOON).toBe(networkNamespace(task.record.pid));
    const scratch = mkdtempSync(join(tmpdir(), 'network-namespace-'));
    onTestFinished(() => rmSync(scratch, { recursive: true }));
    const mountPoint = join(scratch, 'net');
    writeFileSync(mountPoint, '');
    await mount(file, mountPoint, '', MountFlag.Bind, '');
    const descriptor = openSync(file, 'r');

    await task.call('kill', { signal: 9 });
    await task.call('wait', {});
    await node.manager.delete(CALL, 'web');
    const ofProcess = `network namespace of process ${entered.pid}`;
    const ofMount = `network namespace at ${mountPoint}`;
    expect(node.leftovers()).toEqual([ofProcess, ofMount, `network namespace in descriptor ${descriptor}`]);
    closeSync(descriptor);
    expect(node.leftovers()).toEqual([ofProcess, ofMount]);
    await unmount(mountPoint);
    expect(node.leftovers()).toEqual([ofProcess]);
    await entered.end();
    expect(node.leftovers()).toEqual([]);
  });
});
