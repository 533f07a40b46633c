import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { Fleet } from './fleet.ts';
import { cgroupsOf, readProc } from './leftovers.ts';
import type { TestNode } from './test-node.ts';

/** What a run makes and must not leave, each with the name that the run had. */
export interface Trace {
  id: string;
  /** e.g. `n1 default: mount` */
  what: string;
}

// ctr's own leases, `<nanoseconds>-<random>`, expire: it cannot delete one while the service is away.
const RECORDS = `
  SELECT id, node || ' ' || namespace || ': container' AS what FROM runtime.containers
  UNION ALL SELECT name, node || ' ' || namespace || ': snapshot' FROM snapshot.snapshots WHERE kind <> 'committed'
  UNION ALL SELECT id, node || ' ' || namespace || ': lease' FROM content.leases WHERE id !~ '^[0-9]+-.{4}$'
  UNION ALL SELECT ref, node || ' ' || namespace || ': ingest' FROM content.ingests`;

/** All there is now, from the tables and the nodes themselves, not through the API under test. */
export async function tracesOf(fleet: Fleet): Promise<Trace[]> {
  const client = new pg.Client({ connectionString: fleet.databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<Trace>(RECORDS);
    return [...rows, ...fleet.nodes.flatMap(tracesOn)];
  } finally {
    await client.end();
  }
}

function tracesOn(node: TestNode): Trace[] {
  const tasks = [node.state, node.root].flatMap((directory) => {
    const names = namesBelow(node.path(join(directory, 'io.containerd.runtime.v2.task')));
    return names.map(({ id, namespace }) => ({ id, what: `${node.id} ${namespace}: ${directory}` }));
  });
  const cgroups = cgroupsOf(node.cgroupParent).flatMap((line) => {
    const names = namesBelow(line.slice('cgroup '.length));
    return names.map(({ id, namespace }) => ({ id, what: `${node.id} ${namespace}: ${line}` }));
  });
  return [...tasks, ...cgroups, ...mountsOn(node), ...shimsOf(node)];
}

function namesBelow(directory: string): { namespace: string; id: string }[] {
  const directories = (path: string) =>
    existsSync(path) ? readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory()) : [];
  return directories(directory).flatMap(({ name: namespace }) =>
    directories(join(directory, namespace)).map(({ name: id }) => ({ namespace, id })),
  );
}

function mountsOn(node: TestNode): Trace[] {
  const line = new RegExp(`${node.state}/io\\.containerd\\.runtime\\.v2\\.task/([^/ ]+)/([^/ ]+)/`, 'g');
  const mounts = readProc(node.mountInfo);
  return Array.from(mounts.matchAll(line), ([, namespace, id = '']) => ({
    id,
    what: `${node.id} ${namespace}: mount`,
  }));
}

/** By what is in their arguments: `-id` and the node socket. */
function shimsOf(node: TestNode): Trace[] {
  return readdirSync('/proc').flatMap((pid) => {
    const args = /^\d+$/.test(pid) ? readProc(`/proc/${pid}/cmdline`).split('\0') : [];
    if (!args[0]?.includes('containerd-shim') || !args.some((arg) => arg.startsWith(node.socket))) return [];
    return [{ id: args[args.indexOf('-id') + 1] ?? '', what: `${node.id}: shim ${pid}` }];
  });
}
