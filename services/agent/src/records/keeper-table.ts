import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { KEEPERS, type Keeper } from './record-kinds.ts';

/** How far a copy has heard of one keeper. */
export interface KeeperState {
  /** Where its watch goes on. */
  position: string;
  /** Of its watch, which begins a new one each time it is made. */
  round: number;
  /** Its records were all here once. */
  isSynced: boolean;
  /** The round from which on a record must have been heard of to survive the next `synced`, after a reset. */
  sweptFrom: number | undefined;
  /** The round in which a change went missing; until a later one is `synced`. Not stored: the next process begins anew. */
  doubtedIn: number | undefined;
}

/** The states of a copy's keepers, in memory and in its database. */
export class KeeperTable {
  readonly #states = new Map<Keeper, KeeperState>();
  readonly #save: StatementSync;

  constructor(database: DatabaseSync) {
    const insert = database.prepare('INSERT INTO keeper (name) VALUES (?) ON CONFLICT DO NOTHING');
    const select = database.prepare('SELECT position, round, synced, swept_from FROM keeper WHERE name = ?');
    this.#save = database.prepare(
      'UPDATE keeper SET position = ?, round = ?, synced = ?, swept_from = ? WHERE name = ?',
    );
    for (const keeper of KEEPERS) {
      insert.run(keeper);
      const row = select.get(keeper)!;
      this.#states.set(keeper, {
        position: String(row.position),
        round: Number(row.round),
        isSynced: row.synced === 1,
        sweptFrom: row.swept_from === null ? undefined : Number(row.swept_from),
        doubtedIn: undefined,
      });
    }
  }

  get(keeper: Keeper): KeeperState {
    return this.#states.get(keeper) as KeeperState;
  }

  /** Stores a state; {@link use} makes it the one that {@link get} answers, once that is committed. */
  save(keeper: Keeper, { position, round, isSynced, sweptFrom }: KeeperState): void {
    this.#save.run(position, round, isSynced ? 1 : 0, sweptFrom ?? null, keeper);
  }

  use(keeper: Keeper, state: KeeperState): void {
    this.#states.set(keeper, state);
  }
}
