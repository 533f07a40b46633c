import type { Scope } from '@longshore/kit';
import { type Queryable, query } from '@longshore/postgres';
import type { Candidate } from '../../domain/collection.ts';
import { CollectionStopped } from '../../domain/collection-guard.ts';

/** The version of the collection contract that is understood here. */
const VERSION = 1;
const SCHEMA_NAME = /^[a-z_]+$/;
const VIEWS = ['gc_objects', 'gc_roots', 'gc_references'];
const DELETE = 'gc_delete(text, text, text[], text[], uuid[])';
/** undefined_table, undefined_column, undefined_function, invalid_schema_name */
const UNDEFINED: ReadonlySet<unknown> = new Set(['42P01', '42703', '42883', '3F000']);

/** A kind of record that a scope still has; `group` is a snapshot's snapshotter, else empty. */
export interface Remains {
  readonly kind: string;
  readonly group: string;
}

/** The `gc_*` views of all services that take part in collections: see "Collection contract" in README.md. */
export class CollectionViews {
  readonly #schemas: readonly string[];
  #areAllThere = false;

  constructor(schemas: readonly string[]) {
    for (const schema of schemas) {
      if (!SCHEMA_NAME.test(schema)) throw new TypeError(`schema name ${JSON.stringify(schema)}`);
    }
    this.#schemas = schemas;
  }

  /** All schemas. Throws Unavailable while one of them has no contract, or another version. */
  async requireAll(db: Queryable): Promise<readonly string[]> {
    const present = await this.#present(db);
    const absent = this.#schemas.filter((schema) => !present.includes(schema));
    if (absent.length === 0) return present;
    const problem = `schema ${absent.join(', ')} has no collection contract of version ${VERSION}`;
    throw new CollectionStopped('Unavailable', 'view_missing', `garbage collection: ${problem}`);
  }

  /** Does work on all schemas. Throws Unavailable, naming it, when a part of one's contract is missing. */
  async withAll<T>(db: Queryable, work: (schemas: readonly string[]) => Promise<T>): Promise<T> {
    const schemas = await this.requireAll(db);
    try {
      return await work(schemas);
    } catch (error) {
      if (!UNDEFINED.has((error as { code?: unknown }).code)) throw error;
      this.#areAllThere = false;
      await this.requireAll(db);
      const [missing] = await query<{ schema: string; part: string }>(db, MISSING, [schemas, VIEWS, DELETE]);
      if (!missing) throw error;
      const problem = `schema ${missing.schema}: ${missing.part} is missing`;
      throw new CollectionStopped('Unavailable', 'view_missing', `garbage collection: ${problem}`);
    }
  }

  /** A select of `size_bytes` of the record of parameters 1 and 2 and `g (kind, key)`, of those services that tell sizes. */
  async sizes(db: Queryable): Promise<string> {
    const found = await query<{ schema: string }>(
      db,
      `SELECT schema FROM unnest($1::text[]) AS schema WHERE to_regclass(schema || '.gc_sizes') IS NOT NULL`,
      [this.#schemas],
    );
    const parts = found.map(
      ({ schema }) => `SELECT size_bytes FROM ${schema}.gc_sizes
        WHERE namespace = $1 AND node = $2 AND kind = g.kind AND key = g.key`,
    );
    return parts.length > 0 ? parts.join(' UNION ALL ') : 'SELECT NULL::bigint AS size_bytes';
  }

  /** Namespaces of a node in which there is any record. */
  async namespaces(db: Queryable, node: string): Promise<string[]> {
    const schemas = await this.#present(db);
    if (schemas.length === 0) return [];
    const parts = schemas.map((schema) => `SELECT namespace FROM ${schema}.gc_objects WHERE node = $1`);
    const rows = await query<{ namespace: string }>(db, parts.join(' UNION '), [node]);
    return rows.map(({ namespace }) => namespace);
  }

  /** Scopes in which there is any record. */
  async scopes(db: Queryable): Promise<Scope[]> {
    const parts = (await this.#present(db)).map(
      (schema) => `SELECT namespace, node FROM ${schema}.gc_objects`,
    );
    return parts.length === 0 ? [] : query<Scope>(db, parts.join(' UNION '));
  }

  /** Which kinds of record a scope has. */
  async remains(db: Queryable, scope: Scope): Promise<Remains[]> {
    const parts = (await this.#present(db)).map(
      (
        schema,
      ) => `SELECT kind, CASE WHEN kind = 'snapshot' THEN split_part(key, '/', 1) ELSE '' END AS "group"
        FROM ${schema}.gc_objects WHERE namespace = $1 AND node = $2`,
    );
    return parts.length === 0 ? [] : query<Remains>(db, parts.join(' UNION '), [scope.namespace, scope.node]);
  }

  /** All records of a scope. */
  async records(db: Queryable, scope: Scope): Promise<Candidate[]> {
    const parts = (await this.#present(db)).map(
      (schema) => `SELECT '${schema}' AS schema, kind, key, uid
        FROM ${schema}.gc_objects WHERE namespace = $1 AND node = $2`,
    );
    return parts.length === 0
      ? []
      : query<Candidate>(db, parts.join(' UNION ALL '), [scope.namespace, scope.node]);
  }

  async #present(db: Queryable): Promise<readonly string[]> {
    if (this.#areAllThere) return this.#schemas;
    const found = await query<{ schema: string }>(
      db,
      `SELECT schema FROM unnest($1::text[]) AS schema WHERE to_regprocedure(schema || '.gc_version()') IS NOT NULL`,
      [this.#schemas],
    );
    const names = found.map(({ schema }) => schema);
    if (names.length === 0) return [];
    const versions = names.map(
      (schema) => `SELECT '${schema}' AS schema WHERE ${schema}.gc_version() = ${VERSION}`,
    );
    const rows = await query<{ schema: string }>(db, versions.join(' UNION ALL '));
    const present = this.#schemas.filter((schema) => rows.some((row) => row.schema === schema));
    this.#areAllThere = present.length === this.#schemas.length;
    return present;
  }
}

const MISSING = `SELECT schema, part FROM unnest($1::text[]) AS schema CROSS JOIN LATERAL (
    SELECT 'view ' || name AS part FROM unnest($2::text[]) AS name WHERE to_regclass(schema || '.' || name) IS NULL
    UNION ALL
    SELECT 'function gc_delete' WHERE to_regprocedure(schema || '.' || $3) IS NULL
  ) AS missing`;
