import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import {
  cgroupsOf,
  fifosOf,
  mountsBelow,
  networkNamespacesIn,
  readProc,
  runcStates,
  shimSocketsOf,
  tasksBelow,
} from './leftovers.ts';
import type { Stack } from './stack.ts';

/** A stack, or a node of a fleet: the tables are then those of the whole fleet. */
export interface Inspected extends Pick<Stack, 'databaseUrl' | 'root' | 'state' | 'socket' | 'cgroupParent'> {
  /** Default: this process's own. */
  mountInfo?: string;
}

/** Everything of a stack that a failed call must not add to. */
export interface Inventory {
  containers: number;
  snapshots: number;
  leases: number;
  ingests: number;
  images: number;
  contents: number;
  bundles: string[];
  workDirectories: string[];
  mounts: string[];
  cgroups: string[];
  fifos: string[];
  networkNamespaces: number;
  runcStates: string[];
  shimSockets: string[];
  shims: number;
}

const TABLES = {
  containers: 'runtime.containers',
  snapshots: 'snapshot.snapshots',
  leases: 'content.leases',
  ingests: 'content.ingests',
  images: 'image.images',
  contents: 'content.contents',
};

/** What there is now, from the tables and the machine itself, not through the API under test. */
export async function takeInventory(stack: Inspected): Promise<Inventory> {
  const client = new pg.Client({ connectionString: stack.databaseUrl });
  await client.connect();
  try {
    const counts: Record<string, number> = {};
    for (const [name, table] of Object.entries(TABLES)) {
      const { rows } = await client.query(`SELECT count(*)::int AS n FROM ${table}`);
      counts[name] = rows[0].n;
    }
    return {
      ...(counts as Record<keyof typeof TABLES, number>),
      bundles: tasksBelow(stack.state),
      workDirectories: tasksBelow(stack.root),
      mounts: mountsBelow([stack.root, stack.state], stack.mountInfo),
      cgroups: childCgroups(stack.cgroupParent),
      fifos: fifosOf(stack).sort(),
      networkNamespaces: networkNamespacesIn(stack.cgroupParent).length,
      runcStates: runcStates(stack.state),
      shimSockets: shimSocketsOf(stack),
      shims: countShims(stack),
    };
  } finally {
    await client.end();
  }
}

/** Below <parent>/<namespace>, in every hierarchy. */
function childCgroups(parent: string): string[] {
  const directories = (path: string) =>
    existsSync(path)
      ? readdirSync(path, { withFileTypes: true })
          .filter((entry) => entry.isDirectory())
          .map((entry) => join(path, entry.name))
      : [];
  return cgroupsOf(parent)
    .map((line) => line.slice('cgroup '.length))
    .flatMap(directories)
    .flatMap(directories)
    .sort();
}

function countShims({ socket }: Inspected): number {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && isShimOf(socket, pid)).length;
}

function isShimOf(socket: string, pid: string): boolean {
  const cmdline = readProc(`/proc/${pid}/cmdline`);
  return cmdline.includes('containerd-shim') && cmdline.includes(socket);
}
