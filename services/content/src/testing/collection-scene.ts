import { type ContentFixture, callOf } from './content-fixture.ts';

export const SCHEMAS = ['content', 'image', 'snapshot', 'runtime'];

let scenes = 0;

/** The records of one namespace, which no other test touches. */
export class CollectionScene {
  readonly namespace = `scene-${scenes++}`;
  readonly node: string;
  readonly #fixture: ContentFixture;

  constructor(fixture: ContentFixture, node = '_') {
    this.#fixture = fixture;
    this.node = node;
  }

  /** Content that nothing keeps. */
  content(text: string, labels: Record<string, string> = {}): Promise<string> {
    return this.#fixture.put(text, labels, { ...this.#caller, lease: '' });
  }

  image(name: string, target: string, more: { labels?: Record<string, string>; expiresAt?: string } = {}) {
    return this.#insert('image.images', 'name, target_digest, expires_at', [name, target, more.expiresAt], {
      ...more.labels,
      ...(more.expiresAt && { 'containerd.io/gc.expire': more.expiresAt }),
    });
  }

  snapshot(name: string, parent?: string, labels: Record<string, string> = {}) {
    return this.#insert('snapshot.snapshots', 'name, parent', [name, parent], labels);
  }

  container(id: string, snapshot?: string, labels: Record<string, string> = {}) {
    return this.#insert('runtime.containers', 'id, snapshot', [id, snapshot], labels);
  }

  sandbox(id: string, labels: Record<string, string>) {
    return this.#insert('runtime.sandboxes', 'id', [id], labels);
  }

  async lease(id: string, labels: Record<string, string>, ...resources: [type: string, id: string][]) {
    await this.#fixture.leases.create({ id, labels }, callOf(this.#caller));
    for (const [type, resource] of resources) {
      await this.#fixture.leases.addResource({ id, resource: { type, id: resource } }, callOf(this.#caller));
    }
  }

  /** Collects, and answers what is left, as `kind key`. */
  async collect(): Promise<string[]> {
    await this.#fixture.collector.collect({ wait: true }, callOf(this.#caller));
    return this.left();
  }

  async left(): Promise<string[]> {
    const parts = SCHEMAS.map(
      (schema) => `SELECT kind, key FROM ${schema}.gc_objects WHERE namespace = $1 AND node = $2`,
    );
    const { rows } = await this.#fixture.pool.query(parts.join(' UNION ALL '), [this.namespace, this.node]);
    return rows.map(({ kind, key }) => `${kind} ${key}`).sort();
  }

  get caller() {
    return callOf(this.#caller);
  }

  get #caller() {
    return { namespace: this.namespace, node: this.node };
  }

  async #insert(table: string, columns: string, values: unknown[], labels: Record<string, string> = {}) {
    const places = values.map((_, n) => `$${n + 4}`).join(', ');
    await this.#fixture.pool.query(
      `INSERT INTO ${table} (namespace, node, labels, ${columns}) VALUES ($1, $2, $3, ${places})`,
      [this.namespace, this.node, labels, ...values],
    );
  }
}
