import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fifosBelow } from '../../services/agent/src/tasks/testing/fifos-below.ts';
import { networkNamespace } from '../../services/agent/src/tasks/testing/network-namespaces.ts';
import { shimSocket } from '../../services/agent/src/tasks/testing/shim-socket.ts';
import { waitUntil } from './wait-until.ts';

export interface Owned {
  root: string;
  state: string;
  /** The node socket. */
  socket: string;
  cgroupParent: string;
}

/** How long what is ending may take to be gone. */
const SETTLE_MS = 10_000;

/** Fails with a list of what an ended stack has left on the machine. */
export async function expectNothingLeft(owned: Owned): Promise<void> {
  await expectNone(() => leftovers(owned));
}

/** Fails with a list of what does not go away. */
export async function expectNone(look: () => string[]): Promise<void> {
  let left: string[] = [];
  const gone = await waitUntil(() => {
    left = look();
    return left.length === 0;
  }, SETTLE_MS);
  if (!gone) throw new Error(`left behind:\n  ${left.join('\n  ')}`);
}

/** What is left on the machine of a stack whose services have ended; its stores may still run. */
export function leftovers(owned: Owned): string[] {
  const { root, state, cgroupParent } = owned;
  return [
    ...processesOf(state),
    ...mountsBelow([root, state]),
    ...cgroupsOf(cgroupParent),
    ...networkNamespacesIn(cgroupParent),
    ...tasksBelow(state).map((name) => `bundle ${name}`),
    ...tasksBelow(root).map((name) => `work directory ${name}`),
    ...runcStates(state).map((path) => `runc's state ${path}`),
    ...fifosOf(owned).map((path) => `fifo ${path}`),
    ...shimSocketsOf(owned).map((path) => `shim's socket ${path}`),
  ];
}

/** Mount points below the directories, of those in a file as /proc has it for each mount namespace. */
export function mountsBelow(directories: string[], mountInfo = '/proc/self/mountinfo'): string[] {
  return readFileSync(mountInfo, 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => directories.some((directory) => path.startsWith(directory)))
    .map((path) => `mount ${path}`);
}

/** Cgroups of a parent, in every hierarchy of this machine. */
export function cgroupsOf(parent: string): string[] {
  const base = '/sys/fs/cgroup';
  const hierarchies = existsSync(join(base, 'cgroup.controllers')) ? [''] : readdirSync(base);
  return hierarchies
    .map((hierarchy) => join(base, hierarchy, parent))
    .filter((path) => existsSync(path))
    .map((path) => `cgroup ${path}`);
}

/** Of the processes in a cgroup and in those below it, but for this process's own. */
export function networkNamespacesIn(cgroupParent: string): string[] {
  const pids = readdirSync('/proc').filter(
    (name) => /^\d+$/.test(name) && readProc(`/proc/${name}/cgroup`).includes(`:${cgroupParent}/`),
  );
  const names = new Set(pids.map(networkNamespace).filter((name) => name !== undefined));
  names.delete(networkNamespace('self')!);
  return [...names].map((name) => `network namespace ${name}`);
}

const PLUGIN_DIRECTORY = 'io.containerd.runtime.v2.task';

/** `<namespace>/<id>` of what shims keep below a root or a state directory. */
export function tasksBelow(directory: string): string[] {
  const tasks = join(directory, PLUGIN_DIRECTORY);
  return namesIn(tasks).flatMap((namespace) =>
    namesIn(join(tasks, namespace)).map((id) => `${namespace}/${id}`),
  );
}

/** Directories of the containers that runc, and what takes its place, knows. */
export function runcStates(state: string): string[] {
  const root = join(state, 'runc');
  return namesIn(root).flatMap((namespace) =>
    namesIn(join(root, namespace)).map((id) => join(root, namespace, id)),
  );
}

/** Of the agent: shims' logs, kept output. Those that clients make are theirs, as a containerd has it. */
export function fifosOf({ root, state }: Pick<Owned, 'root' | 'state'>): string[] {
  return [state, join(root, PLUGIN_DIRECTORY), join(root, 'logs')].flatMap(fifosBelow);
}

/** Where the shims of all tasks of the last hour listen, or have listened without the socket's being removed. */
export function shimSocketsOf({ root, socket }: Pick<Owned, 'root' | 'socket'>): string[] {
  const journal = join(root, 'tasks.db');
  if (!existsSync(journal)) return [];
  const database = new DatabaseSync(journal, { readOnly: true });
  try {
    const tasks = database.prepare('SELECT DISTINCT namespace, container_id FROM process').all();
    return tasks
      .map((task) => shimSocket(socket, String(task.namespace), String(task.container_id)))
      .filter((path) => existsSync(path))
      .sort();
  } finally {
    database.close();
  }
}

function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

/** Processes that name the directory in their arguments, their environment or their mounts. */
export function processesOf(directory: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      const command = readProc(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
      const about =
        command + readProc(`/proc/${pid}/environ`) + readProc(`/proc/${pid}/mountinfo`).split('\n')[0];
      return about.includes(directory) ? [`process ${pid}: ${command.slice(0, 120)}`] : [];
    });
}

/** A file of /proc; empty when its process has ended. */
export function readProc(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
