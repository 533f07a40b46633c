import { notFound } from '@longshore/errors';
import type { Scope } from '@longshore/kit';
import { type Pool, query, transaction } from '@longshore/postgres';
import type { ClaimName, ClaimRecords, ClaimState } from '../../domain/claims.ts';
import type { LedTerm } from '../../domain/led-term.ts';

interface Row {
  outcome: 'stored' | 'held' | 'busy';
  expires_at: Date | null;
  offset_bytes: bigint | null;
  free_in_ms: number | null;
}

export interface ClaimRepositoryOptions {
  /** How long a claim is kept without a renewal. */
  ttlMs: number;
  /** Whether a node's namespaces share what the node holds. */
  sharesNamespaces: boolean;
}

const BY_NAME = 'namespace = $1 AND registry = $2 AND digest = $3';

/** Who fetches what, in the table `claims`; the namespace of a scope counts, its node only for what it may link. */
export class ClaimRepository implements ClaimRecords {
  readonly #pool: Pool;
  readonly #options: ClaimRepositoryOptions;

  constructor(pool: Pool, options: ClaimRepositoryOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  async acquire(scope: Scope, { registry, digest }: ClaimName, holder: string): Promise<ClaimState> {
    const { ttlMs, sharesNamespaces } = this.#options;
    const rows = await query<Row>(this.#pool, 'SELECT * FROM acquire_claim($1, $2, $3, $4, $5, $6, $7)', [
      scope.namespace,
      scope.node,
      registry,
      digest,
      holder,
      ttlMs,
      sharesNamespaces,
    ]);
    const { outcome, expires_at: expiresAt, offset_bytes: offset, free_in_ms: freeInMs } = rows[0]!;
    if (outcome === 'stored') return { kind: 'stored' };
    if (outcome === 'held') return { kind: 'held', expiresAt: expiresAt! };
    // Null when the claim was released between two statements.
    return { kind: 'busy', offsetBytes: Number(offset ?? 0), freeInMs: freeInMs ?? 0 };
  }

  /** Answers when the claim expires. Throws NotFound when it has, or was released. */
  async renew(scope: Scope, name: ClaimName, holder: string, offsetBytes: number): Promise<Date> {
    const rows = await query<{ expires_at: Date }>(
      this.#pool,
      `UPDATE claims SET expires_at = clock_timestamp() + $5 * interval '1 ms', offset_bytes = $6
       WHERE ${BY_NAME} AND holder = $4 AND expires_at > clock_timestamp() RETURNING expires_at`,
      [scope.namespace, name.registry, name.digest, holder, this.#options.ttlMs, offsetBytes],
    );
    if (!rows[0]) throw notFound(`claim of ${name.digest} from registry ${name.registry}`);
    return rows[0].expires_at;
  }

  /** Releasing what another has, or nobody, succeeds. */
  async release(scope: Scope, name: ClaimName, holder: string): Promise<void> {
    await query(this.#pool, `DELETE FROM claims WHERE ${BY_NAME} AND holder = $4`, [
      scope.namespace,
      name.registry,
      name.digest,
      holder,
    ]);
  }

  /** Forgets claims whose holders were lost and that nobody has asked for since. */
  purge(term: LedTerm): Promise<void> {
    return transaction(this.#pool, async (tx) => {
      await term.check(tx);
      await tx.query(`DELETE FROM claims WHERE expires_at < clock_timestamp() - interval '1 minute'`);
    });
  }
}
