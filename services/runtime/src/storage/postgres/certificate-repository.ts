import { LongshoreError } from '@longshore/errors';
import { lockName, type Pool, type Queryable, query, transaction } from '@longshore/postgres';

/** What is recorded of a certificate. */
export interface CertificateRecord {
  serial: string;
  /** e.g. `node/n1` */
  identity: string;
  notAfter: Date;
}

/** A certificate that runs out is no longer told of as revoked; clocks may differ by this. */
const KEEP_MS = 24 * 60 * 60_000;

/** Certificates that were issued, in the table `certificates`, and who issues, in `authority`. */
export class CertificateRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** The database's clock: those of replicas may differ. */
  async now(db: Queryable = this.#pool): Promise<Date> {
    const rows = await query<{ now: Date }>(db, 'SELECT clock_timestamp() AS now');
    return rows[0]!.now;
  }

  async record({ serial, identity, notAfter }: CertificateRecord, db: Queryable = this.#pool): Promise<void> {
    await query(db, 'INSERT INTO certificates (serial, identity, not_after) VALUES ($1, $2, $3)', [
      serial,
      identity,
      notAfter,
    ]);
  }

  /** Also for a certificate that is not recorded, which then stays revoked for ever. */
  async revokeSerial(serial: string): Promise<void> {
    await query(
      this.#pool,
      `INSERT INTO certificates AS c (serial, identity, not_after, revoked_at)
       VALUES ($1, '', 'infinity', clock_timestamp())
       ON CONFLICT (serial) DO UPDATE SET revoked_at = coalesce(c.revoked_at, excluded.revoked_at)`,
      [serial],
    );
  }

  /** All that were issued to it so far; what is being renewed is waited for. In a transaction that does more, if any. */
  async revokeIdentity(identity: string, tx?: Queryable): Promise<void> {
    if (!tx) return transaction(this.#pool, (own) => this.revokeIdentity(identity, own));
    await lockName(tx, 'certificates', identity);
    await tx.query(
      'UPDATE certificates SET revoked_at = clock_timestamp() WHERE identity = $1 AND revoked_at IS NULL',
      [identity],
    );
  }

  /**
   * Throws Unauthenticated for a certificate that is revoked, of which a replica's own list may not tell yet. Until the
   * transaction ends its identity is not revoked: what comes of it will be.
   */
  async requireGood(tx: Queryable, identity: string, serial: string): Promise<void> {
    await lockName(tx, 'certificates', identity);
    const { rows } = await tx.query<{ revoked: boolean }>(
      'SELECT revoked_at IS NOT NULL AS revoked FROM certificates WHERE serial = $1 FOR SHARE',
      [serial],
    );
    if (rows[0]?.revoked) {
      throw new LongshoreError('Unauthenticated', 'the certificate is revoked: unauthenticated');
    }
  }

  /** Serial numbers of the revocations in force, in order. */
  async revoked(): Promise<string[]> {
    const rows = await query<{ serial: string }>(
      this.#pool,
      `SELECT serial FROM certificates
       WHERE revoked_at IS NOT NULL AND not_after > clock_timestamp() - $1 * interval '1 ms' ORDER BY serial`,
      [KEEP_MS],
    );
    return rows.map(({ serial }) => serial);
  }

  /** Removes what has run out. */
  async prune(): Promise<void> {
    await query(
      this.#pool,
      `DELETE FROM certificates WHERE not_after < clock_timestamp() - $1 * interval '1 ms'`,
      [KEEP_MS],
    );
  }

  /**
   * Takes the place of the authority that issues, unless that is none of the `trusted` ones. Answers the fingerprint of
   * the one that is in place then.
   */
  async claimAuthority(fingerprint: string, trusted: Iterable<string>): Promise<string> {
    const rows = await query<{ fingerprint: string }>(
      this.#pool,
      `INSERT INTO authority AS a (fingerprint) VALUES ($1)
       ON CONFLICT (singleton) DO UPDATE SET
         fingerprint = CASE WHEN a.fingerprint = ANY($2::text[]) THEN excluded.fingerprint ELSE a.fingerprint END
       RETURNING fingerprint`,
      [fingerprint, [...trusted]],
    );
    return rows[0]!.fingerprint;
  }
}
