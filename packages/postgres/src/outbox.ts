import type { Queryable } from './pool.ts';

/** A lifecycle event as a service records it. The columns are those of migrations/0000_outbox.sql. */
export interface OutboxEvent {
  namespace: string;
  node: string;
  /** e.g. `/containers/create` */
  topic: string;
  /** What the event is about, e.g. a container's id. */
  subject: string;
  /** The revision that the change gave the record, or drew for its deletion. */
  revision: bigint;
  /** Full protobuf name of the payload. */
  typeUrl: string;
  payload: Uint8Array;
}

/** Records an event in the transaction of its change; call it after the change, so that order follows the lock. */
export async function appendEvent(tx: Queryable, event: OutboxEvent): Promise<void> {
  await tx.query(
    `INSERT INTO outbox (namespace, node, topic, subject, revision, type_url, payload)
     VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [event.namespace, event.node, event.topic, event.subject, event.revision, event.typeUrl, event.payload],
  );
}

/**
 * `appendEvent` for a change that is one statement: a part of it that records the event behind the change. `changed` names the
 * part that changes the record and answers its `revision`, and `first` is the number of the first of {@link eventValues}.
 */
export function eventPart(changed: string, first: number): string {
  const values = ['text', 'text', 'text', 'text', 'text', 'bytea'].map((type, n) => `$${first + n}::${type}`);
  return `told AS (
    INSERT INTO outbox (namespace, node, topic, subject, type_url, payload, revision)
    SELECT ${values.join(', ')}, revision FROM ${changed}
  )`;
}

/** The parameters of {@link eventPart}. The statement itself draws the revision. */
export function eventValues(event: Omit<OutboxEvent, 'revision'>): unknown[] {
  return [event.namespace, event.node, event.topic, event.subject, event.typeUrl, event.payload];
}

/** Draws the next revision of this schema; hold the record's lock. */
export async function nextRevision(tx: Queryable): Promise<bigint> {
  const { rows } = await tx.query<{ revision: bigint }>(`SELECT nextval('revision') AS revision`);
  return rows[0]!.revision;
}

/** The revision that the trigger `log_deletion` has drawn: for the RETURNING of a statement that deletes, or renames. */
export const DELETION_REVISION = `currval('revision')`;
