import { alreadyExists, notFound } from '@longshore/errors';
import { compileToSql, type Filter, type SqlColumns } from '@longshore/filters';
import { type ListPart, type Scope, WHOLE_LIST } from '@longshore/kit';
import { expiryOf, type Labels } from '@longshore/oci';
import {
  appendEvent,
  DELETION_REVISION,
  isUniqueViolation,
  lockScope,
  type OutboxEvent,
  orderedPages,
  type Pool,
  type Queryable,
  query,
  type RecordTable,
  transaction,
} from '@longshore/postgres';
import type { Image, ImageSpec } from '../../domain/image.ts';

interface Row {
  uid: string;
  namespace: string;
  node: string;
  name: string;
  revision: bigint;
  labels: Labels;
  target_media_type: string;
  target_digest: string;
  target_size: bigint;
  target_annotations: Record<string, string>;
  created_at: Date;
  updated_at: Date;
}

/** The event of a change, made from the image after it. */
type EventOf = (image: Image) => OutboxEvent;

const COLUMNS = `uid, namespace, node, name, revision, labels, target_media_type, target_digest, target_size,
  target_annotations, created_at, updated_at`;
const BY_NAME = 'namespace = $1 AND node = $2 AND name = $3';

/** What filters can ask for. */
const FILTERED: SqlColumns = {
  texts: {
    name: { column: 'i.name' },
    'target.digest': { column: 'i.target_digest' },
    'target.mediatype': { column: 'i.target_media_type' },
  },
  labels: { column: 'i.labels', notStored: new Set() },
};

/** For the watch. */
export const imageTable: RecordTable<Row, Image> = {
  columns: COLUMNS,
  from: 'images',
  alias: 'images',
  itemOf: fromRow,
};

/** Images of all scopes, in the table `images`. Every change writes its event in the same transaction. */
export class ImageRepository {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Throws NotFound. */
  async get(scope: Scope, name: string): Promise<Image> {
    const rows = await query<Row>(
      this.#pool,
      `SELECT ${COLUMNS} FROM images WHERE ${BY_NAME}`,
      keyOf(scope, name),
    );
    if (!rows[0]) throw missing(name);
    return fromRow(rows[0]);
  }

  /** At least the images that the filter matches, from the part's first name on and then at least as many as it wants, in byte order of the names. */
  async *pages(scope: Scope, filter: Filter, part: ListPart = WHOLE_LIST): AsyncGenerator<Image[]> {
    const parameters: unknown[] = [scope.namespace, scope.node];
    const matching = compileToSql(filter, FILTERED, parameters) ?? 'true';
    const pages = orderedPages<Row>(this.#pool, {
      columns: COLUMNS,
      from: 'images AS i',
      where: `i.namespace = $1 AND i.node = $2 AND ${matching}`,
      parameters,
      order: ['i.name'],
      part,
    });
    for await (const rows of pages) yield rows.map(fromRow);
  }

  /** Records `at` as its times, else now. Throws AlreadyExists. */
  create(scope: Scope, spec: ImageSpec, at: Date | undefined, eventOf: EventOf): Promise<Image> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['images', spec.name]);
      try {
        const { rows } = await tx.query<Row>(
          `INSERT INTO images (namespace, node, name, revision, labels, target_media_type, target_digest, target_size,
             target_annotations, expires_at, created_at, updated_at)
           VALUES ($1, $2, $3, nextval('revision'), $4, $5, $6, $7, $8, $9,
             coalesce($10, statement_timestamp()), coalesce($10, statement_timestamp()))
           RETURNING ${COLUMNS}`,
          [...keyOf(scope, spec.name), ...columnValues(spec), at],
        );
        const created = fromRow(rows[0]!);
        await appendEvent(tx, eventOf(created));
        return created;
      } catch (error) {
        if (!isUniqueViolation(error, 'images_name')) throw error;
        throw alreadyExists(subject(spec.name), { cause: error });
      }
    });
  }

  /** Reads, changes and writes one image under its lock; it is updated at `at`, else now. Throws NotFound. */
  update(
    scope: Scope,
    name: string,
    change: (stored: Image) => Image,
    at: Date | undefined,
    eventOf: EventOf,
  ): Promise<Image> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope);
      const changed = change(await hold(tx, scope, name));
      const { rows } = await tx.query<Row>(
        `UPDATE images SET revision = nextval('revision'), labels = $2, target_media_type = $3, target_digest = $4,
           target_size = $5, target_annotations = $6, expires_at = $7,
           updated_at = coalesce($8, statement_timestamp()), changed = pg_current_xact_id()
         WHERE uid = $1 RETURNING ${COLUMNS}`,
        [changed.uid, ...columnValues(changed), at],
      );
      const updated = fromRow(rows[0]!);
      await appendEvent(tx, eventOf(updated));
      return updated;
    });
  }

  /**
   * Throws NotFound, and what `check` throws, which keeps the image. The image returned carries the revision of its deletion.
   */
  delete(scope: Scope, name: string, check: (stored: Image) => void, eventOf: EventOf): Promise<Image> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['images', name]);
      const image = await hold(tx, scope, name);
      check(image);
      const { rows } = await tx.query<{ revision: bigint }>(
        `DELETE FROM images WHERE uid = $1 RETURNING ${DELETION_REVISION} AS revision`,
        [image.uid],
      );
      const deleted = { ...image, revision: rows[0]!.revision };
      await appendEvent(tx, eventOf(deleted));
      return deleted;
    });
  }
}

/** Reads an image and keeps others from changing it until the transaction ends. */
async function hold(tx: Queryable, scope: Scope, name: string): Promise<Image> {
  const { rows } = await tx.query<Row>(
    `SELECT ${COLUMNS} FROM images WHERE ${BY_NAME} FOR UPDATE`,
    keyOf(scope, name),
  );
  if (!rows[0]) throw missing(name);
  return fromRow(rows[0]);
}

function keyOf(scope: Scope, name: string): string[] {
  return [scope.namespace, scope.node, name];
}

function subject(name: string): string {
  return `image ${JSON.stringify(name)}`;
}

function missing(name: string): Error {
  return notFound(subject(name));
}

function columnValues({ labels, target }: ImageSpec): unknown[] {
  const { mediaType, digest, sizeBytes, annotations } = target;
  return [labels, mediaType, digest, sizeBytes, annotations, expiryOf(labels) ?? null];
}

function fromRow(row: Row): Image {
  return {
    uid: row.uid,
    scope: { namespace: row.namespace, node: row.node },
    name: row.name,
    revision: row.revision,
    labels: row.labels,
    target: {
      mediaType: row.target_media_type,
      digest: row.target_digest,
      sizeBytes: row.target_size,
      annotations: row.target_annotations,
    },
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
