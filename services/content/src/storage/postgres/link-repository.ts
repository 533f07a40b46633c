import { notFound } from '@longshore/errors';
import type { Scope } from '@longshore/kit';
import type { Digest, Labels } from '@longshore/oci';
import { type OutboxEvent, type Pool, query } from '@longshore/postgres';
import type { ContentIdentity } from '../../domain/content.ts';
import type { LinkedContent, LinkRequest } from '../../domain/link.ts';
import { withinQuota } from './quota-error.ts';

interface Row {
  uid: string;
  /** Null in the one row that says that there is no such lease. */
  digest: Digest | null;
  generation: string;
  size: bigint;
  revision: bigint;
  labels: Labels;
  created_at: Date;
  updated_at: Date;
  is_new: boolean;
}

/** Makes content of stored blobs, by the function `link_contents` of migrations/0005_linking.sql. */
export class LinkRepository {
  readonly #pool: Pool;
  readonly #sharesNamespaces: boolean;

  /** `sharesNamespaces`: whether a node's namespaces share what the node holds. */
  constructor(pool: Pool, sharesNamespaces: boolean) {
    this.#pool = pool;
    this.#sharesNamespaces = sharesNamespaces;
  }

  /**
   * Links what is stored and may be linked, in one transaction with lease entries and events. Answers what the scope then
   * holds of it, in no order. No digest may come twice. Throws NotFound for an unknown lease, ResourceExhausted above a
   * quota.
   */
  async link(
    scope: Scope,
    requests: readonly LinkRequest[],
    lease: string | undefined,
    eventOf: (content: ContentIdentity) => OutboxEvent,
  ): Promise<LinkedContent[]> {
    // A digest has one size for ever, so what is read here is true in the transaction as well.
    const sizes = await this.#sizes(requests.map(({ digest }) => digest));
    const blobs = requests.flatMap(({ digest, sizeBytes, labels }) => {
      const stored = sizes.get(digest);
      if (stored === undefined) return [];
      // The row's revision is drawn by the function, which puts it into the event's row.
      const event = eventOf({ scope, digest, sizeBytes: stored, revision: 0n });
      return { event, blob: { digest, size: sizeBytes, labels, payload: base64(event.payload) } };
    });
    if (blobs.length === 0) return [];
    const { topic, typeUrl } = blobs[0]!.event;
    const values = [
      scope.namespace,
      scope.node,
      JSON.stringify(blobs.map(({ blob }) => blob)),
      lease,
      this.#sharesNamespaces,
      topic,
      typeUrl,
    ];
    const rows = await withinQuota(
      query<Row>(this.#pool, 'SELECT * FROM link_contents($1, $2, $3, $4, $5, $6, $7)', values),
    );
    return rows.map((row) => fromRow(scope, row));
  }

  async #sizes(digests: readonly Digest[]): Promise<Map<Digest, number>> {
    const rows = await query<{ digest: Digest; size: bigint }>(
      this.#pool,
      'SELECT digest, size FROM blobs WHERE digest = ANY ($1)',
      [digests],
    );
    return new Map(rows.map(({ digest, size }) => [digest, Number(size)]));
  }
}

function fromRow(scope: Scope, row: Row): LinkedContent {
  const { uid, digest, generation, revision, labels } = row;
  if (digest === null) throw notFound('lease does not exist');
  return {
    isNew: row.is_new,
    content: {
      uid,
      scope,
      digest,
      generation,
      revision,
      sizeBytes: Number(row.size),
      labels,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
    },
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
