import { alreadyExists, notFound } from '@longshore/errors';
import type { Scope } from '@longshore/kit';
import type { Labels } from '@longshore/oci';
import {
  appendEvent,
  isUniqueViolation,
  lockScope,
  nextRevision,
  type Pool,
  query,
  transaction,
} from '@longshore/postgres';
import { expiryOf, type Image, type ImageSpec } from '../../domain/image.ts';
import { imageEvents } from '../../events.ts';

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

const COLUMNS = `uid, namespace, node, name, revision, labels, target_media_type, target_digest, target_size,
  target_annotations, created_at, updated_at`;
const BY_NAME = 'namespace = $1 AND node = $2 AND name = $3';

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
      nameOf(scope, name),
    );
    if (!rows[0]) throw missing(name);
    return fromRow(rows[0]);
  }

  /** In byte order of the names. */
  async list(scope: Scope): Promise<Image[]> {
    const rows = await query<Row>(
      this.#pool,
      `SELECT ${COLUMNS} FROM images WHERE namespace = $1 AND node = $2 ORDER BY name COLLATE "C"`,
      [scope.namespace, scope.node],
    );
    return rows.map(fromRow);
  }

  /** `createdAt` stands in for now, for reproducible records. Throws AlreadyExists. */
  create(scope: Scope, spec: ImageSpec, createdAt: Date | undefined): Promise<Image> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['images', spec.name]);
      try {
        const { rows } = await tx.query<Row>(
          `INSERT INTO images (namespace, node, name, revision, labels, target_media_type, target_digest,
             target_size, target_annotations, expires_at, created_at, updated_at)
           VALUES ($1, $2, $3, nextval('revision'), $4, $5, $6, $7, $8, $9,
             coalesce($10, clock_timestamp()), coalesce($10, clock_timestamp()))
           RETURNING ${COLUMNS}`,
          [...nameOf(scope, spec.name), ...columnValues(spec), createdAt],
        );
        const created = fromRow(rows[0]!);
        await appendEvent(tx, imageEvents.created(created));
        return created;
      } catch (error) {
        if (isUniqueViolation(error, 'images_name'))
          throw alreadyExists(subject(spec.name), { cause: error });
        throw error;
      }
    });
  }

  /** Reads, changes and writes one image under its lock. Throws NotFound. */
  update(
    scope: Scope,
    name: string,
    change: (stored: Image) => Image,
    updatedAt: Date | undefined,
  ): Promise<Image> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope);
      const found = await tx.query<Row>(
        `SELECT ${COLUMNS} FROM images WHERE ${BY_NAME} FOR UPDATE`,
        nameOf(scope, name),
      );
      if (!found.rows[0]) throw missing(name);
      const changed = change(fromRow(found.rows[0]));
      const { rows } = await tx.query<Row>(
        `UPDATE images SET revision = nextval('revision'), labels = $2, target_media_type = $3, target_digest = $4,
           target_size = $5, target_annotations = $6, expires_at = $7, updated_at = coalesce($8, clock_timestamp()),
           changed = pg_current_xact_id()
         WHERE uid = $1 RETURNING ${COLUMNS}`,
        [changed.uid, ...columnValues(changed), updatedAt],
      );
      const updated = fromRow(rows[0]!);
      await appendEvent(tx, imageEvents.updated(updated));
      return updated;
    });
  }

  /**
   * Deletes the image; with `digest`, only while it is the target. Throws NotFound, also for another target. The image
   * returned carries the revision of its deletion.
   */
  delete(scope: Scope, name: string, digest: string | undefined): Promise<Image> {
    return transaction(this.#pool, async (tx) => {
      await lockScope(tx, scope, ['images', name]);
      const { rows } = await tx.query<Row>(
        `DELETE FROM images WHERE ${BY_NAME} AND ($4::text IS NULL OR target_digest = $4) RETURNING ${COLUMNS}`,
        [...nameOf(scope, name), digest],
      );
      if (!rows[0]) throw missing(name);
      const deleted = { ...fromRow(rows[0]), revision: await nextRevision(tx) };
      await appendEvent(tx, imageEvents.deleted(deleted));
      return deleted;
    });
  }
}

function nameOf(scope: Scope, name: string): string[] {
  return [scope.namespace, scope.node, name];
}

function subject(name: string): string {
  return `image ${JSON.stringify(name)}`;
}

function missing(name: string): Error {
  return notFound(subject(name));
}

function columnValues({ labels, target }: ImageSpec): unknown[] {
  return [labels, target.mediaType, target.digest, target.size, target.annotations, expiryOf(labels)];
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
      size: row.target_size,
      annotations: row.target_annotations,
    },
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
