import { type Pool, query, transaction } from '@longshore/postgres';
import type { SigningKeyStore, SigningKeys } from '../../domain/signed-paths.ts';

/** After this long a new key is made; the one before stays valid for as long again. */
const ROTATE_AFTER = '1 day';
/** A new key does not sign before all replicas have had time to load it. */
const SIGN_AFTER = '5 minutes';

/** Keys that all replicas sign with, in the table `signing_keys`. */
export class SigningKeyRepository implements SigningKeyStore {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async load(newKey: () => Buffer): Promise<SigningKeys> {
    const loaded = await this.#load();
    if (loaded.isFresh) return loaded;
    await transaction(this.#pool, async (tx) => {
      await tx.query('LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE');
      await tx.query(
        `INSERT INTO signing_keys (key) SELECT $1 WHERE NOT EXISTS (
           SELECT FROM signing_keys WHERE created_at > clock_timestamp() - interval '${ROTATE_AFTER}')`,
        [newKey()],
      );
      await tx.query(
        'DELETE FROM signing_keys WHERE id NOT IN (SELECT id FROM signing_keys ORDER BY id DESC LIMIT 2)',
      );
    });
    return this.#load();
  }

  async #load(): Promise<SigningKeys & { isFresh: boolean }> {
    const rows = await query<{ key: Buffer; now: Date; is_fresh: boolean }>(
      this.#pool,
      `SELECT key, clock_timestamp() AS now, created_at > clock_timestamp() - interval '${ROTATE_AFTER}' AS is_fresh
       FROM signing_keys ORDER BY created_at < clock_timestamp() - interval '${SIGN_AFTER}' DESC, id DESC LIMIT 2`,
    );
    return {
      keys: rows.map(({ key }) => key),
      now: rows[0]?.now ?? new Date(),
      isFresh: rows.some(({ is_fresh }) => is_fresh),
    };
  }
}
