import { compileToSql, type Filter, objectAdaptor } from '@longshore/filters';
import type { Labels } from '@longshore/oci';
import { fromSqlError, type Pool } from '@longshore/postgres';
import { FLEET, ReservedLabel } from '@longshore/proto/headers';
import { CONTAINER_FILTERS } from './container-filters.ts';

/** What a list tells of a container. */
export interface ListedContainer {
  namespace: string;
  node: string;
  id: string;
  labels: Labels;
  image: string;
  runtimeName: string;
  snapshotter: string;
  snapshotKey: string;
  sandbox: string;
  createdAt: Date;
  updatedAt: Date;
  deletingAt: Date | undefined;
}

/** Names a container among those of a namespace. */
export interface ContainerPosition {
  id: string;
  node: string;
}

export interface ContainerPageQuery {
  namespace: string;
  /** Undefined: all nodes, without the fleet's own scope. */
  node: string | undefined;
  filter: Filter;
  limit: number;
  after: ContainerPosition | undefined;
}

export interface ContainerPage {
  containers: ListedContainer[];
  /** Where to go on; undefined: there is nothing more. */
  next: ContainerPosition | undefined;
}

interface Row extends ContainerPosition {
  labels: Labels;
  image: string;
  runtime_name: string;
  snapshotter: string;
  snapshot_key: string;
  sandbox: string;
  created_at: Date;
  updated_at: Date;
  deleting_at: Date | null;
}

const COLUMNS = `id, node, labels, image, runtime_name, snapshotter, snapshot_key, sandbox, created_at, updated_at,
  deleting_at`;

const ORDER = 'id COLLATE "C", node COLLATE "C"';

/** Rows of one statement: enough that a filter which many match finds its page at once, few enough to be read in a moment. */
const STRIDE_ROWS = 1000;
/** What one call looks at, at most, with a filter that indexes say nothing of. */
const MAX_LOOKED_AT = 10_000;

/** Pages of containers over all nodes, without their specs, which are most of what a container is. */
export class ContainerListing {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /**
   * In byte order of ids and then of nodes. What many match is found by walking in this order, what few match by the indexes
   * of what the filter asks for.
   */
  async page(query: ContainerPageQuery): Promise<ContainerPage> {
    const walk = new Walk(this.#pool, query);
    if (walk.hasCondition && (await walk.strideInOrder())) return walk.page();
    while (await walk.stride());
    return walk.page();
  }
}

/** One call's way through the containers. */
class Walk {
  readonly #pool: Pool;
  readonly #query: ContainerPageQuery;
  readonly #base: readonly unknown[];
  readonly #where: string;
  readonly #condition: string | undefined;
  readonly #matching: Row[] = [];
  #after: ContainerPosition | undefined;
  #isAtEnd = false;
  #lookedAt = 0;

  constructor(pool: Pool, query: ContainerPageQuery) {
    this.#pool = pool;
    this.#query = query;
    this.#after = query.after;
    const parameters: unknown[] = [query.namespace, query.node ?? FLEET];
    this.#where = `namespace = $1 AND node ${query.node === undefined ? '<>' : '='} $2`;
    this.#condition = compileToSql(query.filter, CONTAINER_FILTERS, parameters);
    this.#base = parameters;
  }

  get hasCondition(): boolean {
    return this.#condition !== undefined;
  }

  /** Looks at the next containers whatever they are; whether that was enough. If not, nothing is taken from it. */
  async strideInOrder(): Promise<boolean> {
    const { text, values } = this.#behind();
    const rows = await this.#select<Row & { is_all: boolean }>(
      `WITH near AS MATERIALIZED (
         SELECT ${COLUMNS} FROM containers WHERE ${this.#where} ${text} ORDER BY ${ORDER} LIMIT ${STRIDE_ROWS}
       )
       SELECT *, (SELECT count(*) FROM near) < ${STRIDE_ROWS} AS is_all FROM near
       WHERE ${this.#condition} ORDER BY ${ORDER} LIMIT ${this.#query.limit + 1}`,
      values,
    );
    const isAtEnd = rows.length <= this.#query.limit && rows[0]?.is_all === true;
    const matching = this.#matchesAmong(rows);
    if (!isAtEnd && matching.length <= this.#query.limit) return false;
    this.#take(matching, rows, isAtEnd);
    return true;
  }

  /** Whether there is a reason for another one. */
  async stride(): Promise<boolean> {
    const { text, values } = this.#behind();
    // What the condition leaves open may match none of many.
    const isEnough = this.#query.filter.matchesAll || (this.#condition !== undefined && this.#lookedAt === 0);
    const limit = isEnough ? this.#query.limit + 1 : STRIDE_ROWS;
    const rows = await this.#select<Row>(
      `SELECT ${COLUMNS} FROM containers WHERE ${this.#where} AND ${this.#condition ?? 'true'} ${text}
       ORDER BY ${ORDER} LIMIT ${limit}`,
      values,
    );
    this.#lookedAt += rows.length;
    this.#take(this.#matchesAmong(rows), rows, rows.length < limit);
    return !this.#isDone && this.#lookedAt < MAX_LOOKED_AT;
  }

  page(): ContainerPage {
    const { limit, namespace } = this.#query;
    const rows = this.#matching.slice(0, limit);
    const last = this.#matching.length > limit ? rows.at(-1) : this.#isAtEnd ? undefined : this.#after;
    return {
      containers: rows.map((row) => fromRow(namespace, row)),
      next: last && { id: last.id, node: last.node },
    };
  }

  get #isDone(): boolean {
    return this.#isAtEnd || this.#matching.length > this.#query.limit;
  }

  /** What the condition leaves open. */
  #matchesAmong(rows: readonly Row[]): Row[] {
    const { filter } = this.#query;
    return rows.filter((row) => filter.matchesAll || filter.matches(adaptorOf(row)));
  }

  #take(matching: readonly Row[], from: readonly Row[], isAtEnd: boolean): void {
    this.#matching.push(...matching);
    this.#isAtEnd = isAtEnd;
    const last = from.at(-1);
    if (last) this.#after = { id: last.id, node: last.node };
  }

  /** Not prepared: filters make texts without number, and what is best depends on what they ask for. */
  async #select<R extends Row>(text: string, values: unknown[]): Promise<R[]> {
    try {
      return (await this.#pool.query<R & Record<string, unknown>>({ text, values })).rows;
    } catch (error) {
      throw fromSqlError(error);
    }
  }

  #behind(): { text: string; values: unknown[] } {
    if (this.#after === undefined) return { text: '', values: [...this.#base] };
    const values = [...this.#base, this.#after.id, this.#after.node];
    return { text: `AND (${ORDER}) > ($${values.length - 1}, $${values.length})`, values };
  }
}

function adaptorOf({ id, node, image, runtime_name, labels }: Row) {
  return objectAdaptor(
    { id, 'runtime.name': runtime_name, image },
    { ...labels, [ReservedLabel.Node]: node },
  );
}

function fromRow(namespace: string, row: Row): ListedContainer {
  return {
    namespace,
    node: row.node,
    id: row.id,
    labels: row.labels,
    image: row.image,
    runtimeName: row.runtime_name,
    snapshotter: row.snapshotter,
    snapshotKey: row.snapshot_key,
    sandbox: row.sandbox,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    deletingAt: row.deleting_at ?? undefined,
  };
}
