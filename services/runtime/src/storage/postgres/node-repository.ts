import { notFound } from '@longshore/errors';
import type { Labels } from '@longshore/oci';
import { lockName, type Pool, query, transaction } from '@longshore/postgres';
import type { Node, NodeReport } from '../../domain/node.ts';

interface Row {
  uid: string;
  id: string;
  revision: bigint;
  address: string;
  labels: Labels;
  hostname: string;
  kernel: string;
  architecture: string;
  cgroup_version: number;
  software_version: string;
  snapshotters: string[];
  created_at: Date;
  last_seen_at: Date;
}

const COLUMNS = `uid, id, revision, address, labels, hostname, kernel, architecture, cgroup_version,
  software_version, snapshotters, created_at, last_seen_at`;

/** The hosts that have registered, in the table `nodes`. */
export class NodeRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  register(report: NodeReport): Promise<Node> {
    return transaction(this.#pool, async (tx) => {
      await lockName(tx, 'nodes', report.id);
      const { rows } = await tx.query<Row>(
        `INSERT INTO nodes (id, revision, address, labels, hostname, kernel, architecture, cgroup_version,
           software_version, snapshotters)
         VALUES ($1, nextval('revision'), $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, address = excluded.address,
           labels = excluded.labels, hostname = excluded.hostname, kernel = excluded.kernel,
           architecture = excluded.architecture, cgroup_version = excluded.cgroup_version,
           software_version = excluded.software_version, snapshotters = excluded.snapshotters,
           last_seen_at = clock_timestamp()
         RETURNING ${COLUMNS}`,
        [
          report.id,
          report.address,
          report.labels,
          report.hostname,
          report.kernel,
          report.architecture,
          report.cgroupVersion,
          report.softwareVersion,
          report.snapshotters,
        ],
      );
      return fromRow(rows[0]!);
    });
  }

  /** Throws NotFound for a node that has never registered. */
  async touch(id: string): Promise<void> {
    const rows = await query(
      this.#pool,
      'UPDATE nodes SET last_seen_at = clock_timestamp() WHERE id = $1 RETURNING id',
      [id],
    );
    if (rows.length === 0) throw missing(id);
  }

  async get(id: string): Promise<Node> {
    const rows = await query<Row>(this.#pool, `SELECT ${COLUMNS} FROM nodes WHERE id = $1`, [id]);
    if (!rows[0]) throw missing(id);
    return fromRow(rows[0]);
  }

  async list(): Promise<Node[]> {
    const rows = await query<Row>(this.#pool, `SELECT ${COLUMNS} FROM nodes ORDER BY id COLLATE "C"`);
    return rows.map(fromRow);
  }
}

function missing(id: string): Error {
  return notFound(`node ${JSON.stringify(id)}`);
}

function fromRow(row: Row): Node {
  return {
    uid: row.uid,
    id: row.id,
    revision: row.revision,
    address: row.address,
    labels: row.labels,
    hostname: row.hostname,
    kernel: row.kernel,
    architecture: row.architecture,
    cgroupVersion: row.cgroup_version,
    softwareVersion: row.software_version,
    snapshotters: row.snapshotters,
    createdAt: row.created_at,
    lastSeenAt: row.last_seen_at,
  };
}
