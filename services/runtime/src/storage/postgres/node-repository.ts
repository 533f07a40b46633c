import { notFound } from '@longshore/errors';
import {
  appendEvent,
  lockName,
  type OutboxEvent,
  type Pool,
  type Queryable,
  query,
  type Term,
  transaction,
} from '@longshore/postgres';
import { type Node, type NodeReport, type NodeState, nodeSubject } from '../../domain/node.ts';
import type { NodeChange } from '../../domain/node-changes.ts';
import {
  blankNode,
  FROM_NODES,
  MUTABLE_COLUMNS,
  NODE_COLUMNS,
  type NodeRow,
  nodeFromRow,
  nodeValues,
} from './node-row.ts';

/** The events of a change; a node that is made has none before. */
type EventsOf = (before: Node | undefined, after: Node) => OutboxEvent[];

/** The hosts of the fleet, in the tables `nodes` and `node_heartbeats`. Every change writes its events with it. */
export class NodeRepository {
  readonly #pool: Pool;
  readonly #eventsOf: EventsOf;

  constructor(pool: Pool, eventsOf: EventsOf) {
    this.#pool = pool;
    this.#eventsOf = eventsOf;
  }

  /** Throws NotFound. */
  async get(id: string): Promise<Node> {
    const rows = await query<NodeRow>(this.#pool, `SELECT ${NODE_COLUMNS} ${FROM_NODES} WHERE n.id = $1`, [
      id,
    ]);
    if (!rows[0]) throw missing(id);
    return nodeFromRow(rows[0]);
  }

  /** In byte order of the ids; without states, all but those that are gone. */
  async list(states: NodeState[] = []): Promise<Node[]> {
    const wanted = states.length > 0 ? 'n.state = ANY($1)' : "n.state <> 'gone'";
    const rows = await query<NodeRow>(
      this.#pool,
      `SELECT ${NODE_COLUMNS} ${FROM_NODES} WHERE ${wanted} ORDER BY n.id COLLATE "C"`,
      states.length > 0 ? [states] : [],
    );
    return rows.map(nodeFromRow);
  }

  /** Changes a node under its lock, with what else is to happen in its transaction. Throws NotFound. */
  change(
    id: string,
    decide: (stored: Node) => NodeChange,
    along: { before?: Term; after?: (tx: Queryable, node: Node) => Promise<void> } = {},
  ): Promise<Node> {
    return transaction(this.#pool, async (tx) => {
      await along.before?.check(tx);
      await lockName(tx, 'nodes', id);
      const stored = await this.#find(tx, id);
      if (!stored) throw missing(id);
      const changed = await this.#write(tx, stored, decide(stored));
      await along.after?.(tx, changed);
      return changed;
    });
  }

  /** An agent has reported: it counts as heard of. Throws NotFound for a node that is not to be made. */
  register(
    report: NodeReport,
    decide: (stored: Node) => NodeChange,
    { mayMake }: { mayMake: boolean },
  ): Promise<Node> {
    return transaction(this.#pool, async (tx) => {
      await tx.query(
        `INSERT INTO node_heartbeats AS h (node_id) VALUES ($1)
         ON CONFLICT (node_id) DO UPDATE SET last_seen_at = clock_timestamp()`,
        [report.id],
      );
      return this.changeOrMake(tx, report, decide, { mayMake });
    });
  }

  /** A node that is present and was silent for so long; undefined when it was heard of in the meantime. */
  markUnreachable(id: string, silentForMs: number, term: Pick<Term, 'check'>): Promise<Node | undefined> {
    return transaction(this.#pool, async (tx) => {
      await term.check(tx);
      await lockName(tx, 'nodes', id);
      const stored = await this.#find(tx, id);
      const { rowCount } = await tx.query(
        `UPDATE nodes AS n SET revision = nextval('revision'), state = 'unreachable' FROM node_heartbeats AS h
         WHERE n.id = $1 AND h.node_id = n.id AND n.state IN ('ready', 'draining')
           AND h.last_seen_at < clock_timestamp() - $2 * interval '1 ms'`,
        [id, silentForMs],
      );
      if (rowCount !== 1) return undefined;
      const changed = (await this.#find(tx, id))!;
      await this.#report(tx, stored, changed);
      return changed;
    });
  }

  /** As {@link change}, and makes the node when nobody has the id, in a transaction that does more. */
  async changeOrMake(
    tx: Queryable,
    report: NodeReport,
    decide: (stored: Node, isNew: boolean) => NodeChange,
    { mayMake = true } = {},
  ): Promise<Node> {
    await lockName(tx, 'nodes', report.id);
    const stored = await this.#find(tx, report.id);
    if (stored) return this.#write(tx, stored, decide(stored, false));
    if (!mayMake) throw missing(report.id);
    const blank = blankNode(report);
    const values = nodeValues({ ...blank, ...decide(blank as Node, true) });
    const parameters = values.map((_, index) => `$${index + 2}`);
    await tx.query(
      `INSERT INTO nodes (id, revision, ${MUTABLE_COLUMNS.join(', ')})
       VALUES ($1, nextval('revision'), ${parameters.join(', ')})`,
      [report.id, ...values],
    );
    const made = (await this.#find(tx, report.id))!;
    await this.#report(tx, undefined, made);
    return made;
  }

  async #write(tx: Queryable, stored: Node, change: NodeChange): Promise<Node> {
    if (Object.keys(change).length === 0) return stored;
    const assignments = MUTABLE_COLUMNS.map((column, index) => `${column} = $${index + 2}`);
    await tx.query(
      `UPDATE nodes SET revision = nextval('revision'), ${assignments.join(', ')} WHERE id = $1`,
      [stored.id, ...nodeValues({ ...stored, ...change })],
    );
    const changed = (await this.#find(tx, stored.id))!;
    await this.#report(tx, stored, changed);
    return changed;
  }

  async #report(tx: Queryable, before: Node | undefined, after: Node): Promise<void> {
    for (const event of this.#eventsOf(before, after)) await appendEvent(tx, event);
  }

  /** The caller holds the lock of the name. */
  async #find(tx: Queryable, id: string): Promise<Node | undefined> {
    const { rows } = await tx.query<NodeRow>(`SELECT ${NODE_COLUMNS} ${FROM_NODES} WHERE n.id = $1`, [id]);
    return rows[0] && nodeFromRow(rows[0]);
  }
}

function missing(id: string): Error {
  return notFound(nodeSubject(id));
}
