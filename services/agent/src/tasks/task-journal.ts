import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { openDatabase } from '../spool/open-database.ts';

/** Names one process of one life of a task, for ever. */
export interface ProcessKey {
  /** Of the task: drawn when its bundle is made. */
  incarnation: string;
  /** Of an exec: drawn before the shim hears of it. Empty for the task's first process. */
  execIncarnation: string;
}

/** What this node knows of a process, and which of its events it has recorded. */
export interface ProcessRecord extends ProcessKey {
  namespace: string;
  containerId: string;
  /** Empty for the task's first process. */
  execId: string;
  /** 0 while unknown. */
  pid: number;
  /** `/tasks/create` or `/tasks/exec-added` is recorded. */
  created: boolean;
  /** The shim has been asked to start it, and has not refused. */
  startRequested: boolean;
  started: boolean;
  exited: boolean;
  /** `/tasks/delete` is recorded. */
  deleted: boolean;
  /** Its id may be used again; kept for a while for what is reported late. */
  ended: boolean;
}

export type ProcessChange = Partial<
  Omit<ProcessRecord, keyof ProcessKey | 'namespace' | 'containerId' | 'execId'>
>;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS process (
    number           INTEGER PRIMARY KEY AUTOINCREMENT,
    incarnation      TEXT    NOT NULL,
    exec_incarnation TEXT    NOT NULL,
    namespace        TEXT    NOT NULL,
    container_id     TEXT    NOT NULL,
    exec_id          TEXT    NOT NULL,
    pid              INTEGER NOT NULL DEFAULT 0,
    created          INTEGER NOT NULL DEFAULT 0,
    start_requested  INTEGER NOT NULL DEFAULT 0,
    started          INTEGER NOT NULL DEFAULT 0,
    exited           INTEGER NOT NULL DEFAULT 0,
    deleted          INTEGER NOT NULL DEFAULT 0,
    ended_ms         INTEGER,
    UNIQUE (incarnation, exec_incarnation)
  );
  CREATE INDEX IF NOT EXISTS process_name ON process (namespace, container_id, exec_id);
`;

const COLUMNS = `incarnation, exec_incarnation, namespace, container_id, exec_id, pid,
  created, start_requested, started, exited, deleted, ended_ms`;

/**
 * The processes that this node has made, on disk, so that an event found by a later agent is known to be one that an
 * earlier agent recorded. A record lives as long as its process and some time longer, whatever becomes of the spool.
 */
export class TaskJournal implements Disposable {
  readonly #database: DatabaseSync;
  readonly #begin: StatementSync;
  readonly #newest: StatementSync;
  readonly #withPid: StatementSync;
  readonly #one: StatementSync;
  readonly #ofTask: StatementSync;
  readonly #live: StatementSync;
  readonly #updates = new Map<string, StatementSync>();
  readonly #forget: StatementSync;
  readonly #prune: StatementSync;

  /** `path` is the database file; `:memory:` keeps nothing. */
  constructor(path: string) {
    this.#database = openDatabase(path, SCHEMA);
    const prepare = (sql: string) => this.#database.prepare(sql);
    this.#begin = prepare(
      'INSERT INTO process (incarnation, exec_incarnation, namespace, container_id, exec_id) VALUES (?, ?, ?, ?, ?)',
    );
    // One of each, chosen here: where an exec is run again and again, thousands have its name.
    const named = `SELECT ${COLUMNS} FROM process WHERE namespace = ? AND container_id = ? AND exec_id = ?`;
    this.#newest = prepare(`${named} ORDER BY ended_ms IS NOT NULL, number DESC LIMIT 1`);
    this.#withPid = prepare(
      `${named} AND (pid = ? OR pid = 0 AND ended_ms IS NULL) ORDER BY pid = 0, number DESC LIMIT 1`,
    );
    this.#one = prepare(`SELECT ${COLUMNS} FROM process WHERE incarnation = ? AND exec_incarnation = ?`);
    this.#ofTask = prepare(`SELECT ${COLUMNS} FROM process WHERE incarnation = ? ORDER BY number`);
    this.#live = prepare(
      `SELECT ${COLUMNS} FROM process WHERE ended_ms IS NULL AND exec_id = '' ORDER BY number`,
    );
    this.#forget = prepare('DELETE FROM process WHERE incarnation = ? AND exec_incarnation = ?');
    this.#prune = prepare('DELETE FROM process WHERE ended_ms < ?');
  }

  /** Must come before the shim is asked for the process. */
  begin(
    process: Pick<ProcessRecord, keyof ProcessKey | 'namespace' | 'containerId' | 'execId'>,
  ): ProcessRecord {
    const { incarnation, execIncarnation, namespace, containerId, execId } = process;
    this.#begin.run(incarnation, execIncarnation, namespace, containerId, execId);
    return { ...process, pid: 0, ...NOTHING_YET };
  }

  /**
   * The process that a report means. Ids are used again, and a report may come late, so its pid decides; without a
   * match, it is the newest of that name whose pid is not known yet.
   */
  find(namespace: string, containerId: string, execId: string, pid = 0): ProcessRecord | undefined {
    const row =
      pid === 0
        ? this.#newest.get(namespace, containerId, execId)
        : this.#withPid.get(namespace, containerId, execId, pid);
    return row && recordOf(row);
  }

  /** The first process of one life of a task. */
  first(incarnation: string): ProcessRecord | undefined {
    const row = this.#one.get(incarnation, '');
    return row && recordOf(row);
  }

  /** All processes of one life of a task, in the order in which they were made. */
  ofTask(incarnation: string): ProcessRecord[] {
    return this.#ofTask.all(incarnation).map(recordOf);
  }

  /** The process as it is now: what others found of it since `record` was read. */
  reread(record: ProcessRecord): ProcessRecord {
    const row = this.#one.get(record.incarnation, record.execIncarnation);
    return row ? recordOf(row) : record;
  }

  /** First processes of the tasks that have not ended, as far as is known. */
  liveTasks(): ProcessRecord[] {
    return this.#live.all().map(recordOf);
  }

  /** Writes a change, and only that: another record of the same process may have changed meanwhile. */
  update(record: ProcessRecord, change: ProcessChange): void {
    Object.assign(record, change);
    const columns = Object.keys(change) as (keyof ProcessChange)[];
    const values = columns.map((name) => (name === 'ended' ? endedMs(record) : Number(record[name])));
    this.#updateOf(columns).run(...values, record.incarnation, record.execIncarnation);
  }

  /** The task and its execs are no more. */
  end(incarnation: string): void {
    for (const record of this.ofTask(incarnation)) if (!record.ended) this.update(record, { ended: true });
  }

  /** The shim has refused to make the process: it never was. */
  forget({ incarnation, execIncarnation }: ProcessKey): void {
    this.#forget.run(incarnation, execIncarnation);
  }

  /** Forgets processes that ended longer than `ageMs` ago. */
  prune(ageMs: number): void {
    this.#prune.run(Date.now() - ageMs);
  }

  close(): void {
    this.#database.close();
  }

  #updateOf(columns: (keyof ProcessChange)[]): StatementSync {
    const assignments = columns.map((name) => `${COLUMN[name]} = ?`).join(', ');
    const known = this.#updates.get(assignments);
    if (known) return known;
    const sql = `UPDATE process SET ${assignments} WHERE incarnation = ? AND exec_incarnation = ?`;
    const statement = this.#database.prepare(sql);
    this.#updates.set(assignments, statement);
    return statement;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const COLUMN: Record<keyof ProcessChange, string> = {
  pid: 'pid',
  created: 'created',
  startRequested: 'start_requested',
  started: 'started',
  exited: 'exited',
  deleted: 'deleted',
  ended: 'ended_ms',
};

const NOTHING_YET = {
  created: false,
  startRequested: false,
  started: false,
  exited: false,
  deleted: false,
  ended: false,
};

function endedMs({ ended }: ProcessRecord): number | null {
  return ended ? Date.now() : null;
}

function recordOf(row: Record<string, unknown>): ProcessRecord {
  return {
    incarnation: String(row.incarnation),
    execIncarnation: String(row.exec_incarnation),
    namespace: String(row.namespace),
    containerId: String(row.container_id),
    execId: String(row.exec_id),
    pid: Number(row.pid),
    created: row.created === 1,
    startRequested: row.start_requested === 1,
    started: row.started === 1,
    exited: row.exited === 1,
    deleted: row.deleted === 1,
    ended: row.ended_ms !== null,
  };
}
