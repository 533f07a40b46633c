import { type Pool, query } from '@longshore/postgres';
import type { NodeState } from '../../domain/node.ts';

/** What was written of a node's heartbeat, and what the node is. */
export interface HeardNode {
  id: string;
  state: NodeState;
  cordoned: boolean;
  drainGraceMs: number | undefined;
  /** Tasks whose containers were deleted while they ran. */
  keptTasks: { namespace: string; id: string }[];
}

interface Row {
  id: string;
  state: NodeState;
  cordoned: boolean;
  drain_grace_ms: bigint | null;
  kept_tasks: HeardNode['keptTasks'] | null;
}

/** When nodes were last heard of, by the database's clock: those of nodes and replicas may be minutes apart. */
export class HeartbeatRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Writes many heartbeats in one statement; nodes that are not known are left out of the answer. */
  async beat(beats: ReadonlyMap<string, number>): Promise<HeardNode[]> {
    const rows = await query<Row>(
      this.#pool,
      `WITH locked AS (
         SELECT h.node_id, b.running_tasks FROM node_heartbeats AS h
           JOIN unnest($1::text[], $2::integer[]) AS b (node_id, running_tasks) USING (node_id)
         ORDER BY h.node_id FOR UPDATE OF h
       ), beat AS (
         UPDATE node_heartbeats AS h SET last_seen_at = clock_timestamp(), running_tasks = l.running_tasks
         FROM locked AS l WHERE h.node_id = l.node_id RETURNING h.node_id
       )
       SELECT n.id, n.state, n.cordoned, n.drain_grace_ms, (
         SELECT jsonb_agg(jsonb_build_object('namespace', t.namespace, 'id', t.id)) FROM live_tasks AS t WHERE t.node = n.id
       ) AS kept_tasks
       FROM beat JOIN nodes AS n ON n.id = beat.node_id`,
      [[...beats.keys()], [...beats.values()]],
    );
    return rows.map(({ drain_grace_ms, kept_tasks, ...row }) => ({
      ...row,
      keptTasks: kept_tasks ?? [],
      drainGraceMs: drain_grace_ms === null ? undefined : Number(drain_grace_ms),
    }));
  }

  /** Nodes that count as present, and were not heard of for so long. */
  async silent(afterMs: number): Promise<string[]> {
    const rows = await query<{ id: string }>(
      this.#pool,
      `SELECT n.id FROM nodes AS n JOIN node_heartbeats AS h ON h.node_id = n.id
       WHERE n.state IN ('ready', 'draining') AND h.last_seen_at < clock_timestamp() - $1 * interval '1 ms'
       ORDER BY n.id`,
      [afterMs],
    );
    return rows.map(({ id }) => id);
  }

  /** Nodes that count as unreachable, and were heard of since. */
  async returned(afterMs: number): Promise<string[]> {
    const rows = await query<{ id: string }>(
      this.#pool,
      `SELECT n.id FROM nodes AS n JOIN node_heartbeats AS h ON h.node_id = n.id
       WHERE n.state = 'unreachable' AND h.last_seen_at >= clock_timestamp() - $1 * interval '1 ms'
       ORDER BY n.id`,
      [afterMs],
    );
    return rows.map(({ id }) => id);
  }
}
