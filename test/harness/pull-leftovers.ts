import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Fleet } from './fleet.ts';
import { queryFleet } from './fleet-query.ts';
import { tracesOf } from './fleet-traces.ts';
import type { TestNode } from './test-node.ts';

/** Where an agent has layers, and what is only there for a while. */
const DIRECTORIES = [
  'snapshots/overlayfs',
  'snapshots/overlayfs/.quarantine',
  'snapshots/overlayfs/.trash',
  'blob-cache/incoming',
  'tmp',
];

/**
 * What pulls have only while they are under way: leases, ingests and their bytes, snapshots that are not committed, files
 * and layers that no record names. From the tables and the disks, not through the API under test.
 */
export async function leftOfPulls(fleet: Fleet): Promise<string[]> {
  const leases = await names(fleet, `SELECT node || ': lease ' || id AS name FROM content.leases`);
  // What has a tombstone goes within a minute.
  const known = await names(
    fleet,
    'SELECT generation::text AS name FROM content.tombstones UNION SELECT uid::text FROM content.ingests',
  );
  const parts = readdirSync(join(fleet.local.layout.blobDir, 'ingests'));
  const onNodes = await Promise.all(fleet.nodes.map((node) => leftOn(fleet, node)));
  return [
    ...(await tracesOf(fleet)).map(({ id, what }) => `${what} ${id}`),
    ...leases,
    ...parts.filter((uid) => !known.includes(uid)).map((uid) => `bytes of ingest ${uid}`),
    ...onNodes.flat(),
  ];
}

async function leftOn(fleet: Fleet, node: TestNode): Promise<string[]> {
  const sql = 'SELECT generation::text AS name FROM snapshot.snapshots WHERE node = $1';
  const known = await names(fleet, sql, [node.id]);
  return DIRECTORIES.flatMap((directory) =>
    readdirSync(node.path(join(node.root, directory)))
      .filter((name) => !known.includes(name) && !name.startsWith('.'))
      .map((name) => `${node.id}: ${join(directory, name)}`),
  );
}

async function names(fleet: Fleet, sql: string, values: unknown[] = []): Promise<string[]> {
  return (await queryFleet<{ name: string }>(fleet, sql, values)).map(({ name }) => name);
}
