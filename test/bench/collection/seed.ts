import { openPool, type Pool } from '@longshore/postgres';

/** Of each image: its record, a manifest, a config, layers, and as many snapshots as layers. */
const LAYERS = 10;
export const RECORDS_PER_IMAGE = 3 + 2 * LAYERS;
/** Made in one statement. */
const CHUNK = 250;

/** A scope as pulls of images leave it, made straight in the database. */
export class SeededScope implements AsyncDisposable {
  readonly #pool: Pool;
  readonly #scope: [namespace: string, node: string];

  constructor(databaseUrl: string, scope: { namespace: string; node: string }) {
    this.#pool = openPool({ url: databaseUrl, schema: 'content', size: 1 });
    this.#scope = [scope.namespace, scope.node];
  }

  async fill(images: number): Promise<void> {
    await this.#pool.query(DIGEST);
    for (let first = 1; first <= images; first += CHUNK) {
      const range = [first, Math.min(images, first + CHUNK - 1)];
      await this.#pool.query(BLOBS, range);
      await this.#pool.query(CONTENTS, [...range, ...this.#scope]);
      for (let layer = 1; layer <= LAYERS; layer++) {
        await this.#pool.query(SNAPSHOTS, [...range, ...this.#scope, layer]);
      }
      await this.#pool.query(IMAGES, [...range, ...this.#scope]);
    }
    // As autovacuum does within a minute: nobody fills a scope so fast.
    await this.#pool.query('ANALYZE content.contents, content.blobs, snapshot.snapshots, image.images');
  }

  /** Removes every other image, and what it leads to is garbage. No service notices, so no collection begins. */
  async removeHalf(): Promise<void> {
    await this.#pool.query(
      `DELETE FROM image.images
       WHERE namespace = $1 AND node = $2 AND name ~ '^registry.*[02468]$'`,
      this.#scope,
    );
  }

  async count(): Promise<number> {
    const views = ['content', 'snapshot', 'image'].map((schema) => `${schema}.gc_objects`);
    const counts = views.map((view) => `(SELECT count(*) FROM ${view} WHERE namespace = $1 AND node = $2)`);
    const { rows } = await this.#pool.query(`SELECT ${counts.join(' + ')} AS count`, this.#scope);
    return Number(rows[0].count);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end();
  }
}

const DIGEST = `CREATE FUNCTION pg_temp.digest_of(image integer, part integer) RETURNS text LANGUAGE sql AS
  $$ SELECT 'sha256:' || encode(sha256((image || '/' || part)::bytea), 'hex') $$`;

const PARTS = `generate_series($1::integer, $2) AS image CROSS JOIN generate_series(0, ${LAYERS + 1}) AS part`;

const BLOBS = `INSERT INTO content.blobs (digest, generation, size)
  SELECT pg_temp.digest_of(image, part), gen_random_uuid(), 1000 FROM ${PARTS}`;

/** Part 0 is the manifest, part 1 the config, which refers to the last snapshot. */
const CONTENTS = `INSERT INTO content.contents (namespace, node, digest, generation, revision, labels)
  SELECT $3, $4, b.digest, b.generation, nextval('content.revision'),
    jsonb_build_object('containerd.io/distribution.source.registry.example.net', 'library/app') || CASE part
      WHEN 0 THEN (
        SELECT jsonb_object_agg('containerd.io/gc.ref.content.' || CASE n WHEN 1 THEN 'config' ELSE 'l.' || n - 2 END,
          pg_temp.digest_of(image, n))
        FROM generate_series(1, ${LAYERS + 1}) AS n)
      WHEN 1 THEN jsonb_build_object('containerd.io/gc.ref.snapshot.overlayfs', 'image-' || image || '-${LAYERS}')
      ELSE jsonb_build_object('containerd.io/uncompressed', pg_temp.digest_of(-image, part)) END
  FROM ${PARTS} JOIN content.blobs AS b ON b.digest = pg_temp.digest_of(image, part)`;

const SNAPSHOTS = `INSERT INTO snapshot.snapshots
    (namespace, node, snapshotter, name, revision, kind, parent, parent_uid, generation, size_bytes)
  SELECT $3::text, $4::text, 'overlayfs', 'image-' || image || '-' || $5::integer, nextval('snapshot.revision'), 'committed',
    coalesce(p.name, ''), p.uid, gen_random_uuid()::text, 1000
  FROM generate_series($1::integer, $2) AS image
  LEFT JOIN snapshot.snapshots AS p ON p.namespace = $3 AND p.node = $4 AND p.snapshotter = 'overlayfs'
    AND p.name = 'image-' || image || '-' || $5 - 1`;

const IMAGES = `INSERT INTO image.images (namespace, node, name, revision, target_media_type, target_digest, target_size)
  SELECT $3, $4, 'registry.example.net/library/app:' || image, nextval('image.revision'),
    'application/vnd.oci.image.manifest.v1+json', pg_temp.digest_of(image, 0), 1000
  FROM generate_series($1::integer, $2) AS image`;
