import { create, toBinary } from '@bufbuild/protobuf';
import { appendEvent, migrate, openPool, type Pool, type Queryable, transaction } from '@longshore/postgres';
import { ContainerCreateSchema } from '@longshore/proto/containerd/events/container';

const MIGRATIONS = new URL('../storage/postgres/migrations/', import.meta.url);

export interface WrittenRow {
  id: string;
  namespace: string;
  node: string;
  subject: string;
  stream_seq: bigint | null;
}

/** A schema with an outbox, as any service owns one, and events written to it in transactions. */
export class OutboxWriter implements AsyncDisposable {
  readonly schema: string;
  readonly pool: Pool;

  private constructor(schema: string, pool: Pool) {
    this.schema = schema;
    this.pool = pool;
  }

  static async open(databaseUrl: string, schema: string): Promise<OutboxWriter> {
    await migrate({ url: databaseUrl, schema, directory: MIGRATIONS });
    return new OutboxWriter(schema, openPool({ url: databaseUrl, schema, size: 4 }));
  }

  /** One transaction with an event for each resource, in the order given. */
  async write(resources: string[], node = '_', topic = '/containers/create'): Promise<void> {
    await transaction(this.pool, (tx) => this.append(tx, resources, node, topic));
  }

  /** The same in a transaction of the caller's. */
  async append(tx: Queryable, resources: string[], node = '_', topic = '/containers/create'): Promise<void> {
    for (const id of resources) await appendEvent(tx, outboxEvent(id, node, topic));
  }

  /** All rows, in the order of the outbox. */
  async rows(): Promise<WrittenRow[]> {
    const { rows } = await this.pool.query(
      'SELECT id, namespace, node, subject, stream_seq FROM outbox ORDER BY seq',
    );
    return rows;
  }

  async waiting(): Promise<number> {
    const { rows } = await this.pool.query('SELECT count(*)::int AS n FROM outbox WHERE stream_seq IS NULL');
    return rows[0].n;
  }

  async close(): Promise<void> {
    await this.pool.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

export function outboxEvent(id: string, node: string, topic: string) {
  const payload = toBinary(ContainerCreateSchema, create(ContainerCreateSchema, { id, image: 'busybox' }));
  const typeUrl = ContainerCreateSchema.typeName;
  return { namespace: 'default', node, topic, subject: id, revision: 1n, typeUrl, payload };
}
