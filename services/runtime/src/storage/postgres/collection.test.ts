import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RuntimeFixture } from '../../testing/runtime-fixture.ts';

const SCOPE = { headers: { 'containerd-namespace': 'default', 'longshore-node': 'n1' } };
const SPEC = { typeUrl: 's', value: new Uint8Array() };

let runtime: RuntimeFixture;

beforeAll(async () => {
  runtime = await RuntimeFixture.start();
  const runtimeName = { name: 'r' };
  const labels = { 'containerd.io/gc.ref.content.x': 'sha256:1' };
  await runtime.containers.create(
    {
      container: {
        id: 'c1',
        runtime: runtimeName,
        spec: SPEC,
        snapshotter: 'overlayfs',
        snapshotKey: 'k',
        labels,
      },
    },
    SCOPE,
  );
  await runtime.containers.create({ container: { id: 'c2', runtime: runtimeName, spec: SPEC } }, SCOPE);
  await runtime.sandboxes.create({ sandbox: { sandboxId: 's1' } }, SCOPE);
});

afterAll(() => runtime.close());

async function rows(sql: string, values: unknown[] = []) {
  return (await runtime.pool.query(sql, values)).rows;
}

describe('the collection contract', () => {
  it('has version 1', async () => {
    expect(await rows('SELECT gc_version() AS version')).toEqual([{ version: 1 }]);
  });

  it('shows containers and sandboxes as what is never collected, and as roots', async () => {
    const known = { namespace: 'default', node: 'n1' };
    expect(await rows('SELECT namespace, node, kind, key, collectable FROM gc_objects ORDER BY key')).toEqual(
      [
        ['container', 'c1'],
        ['container', 'c2'],
        ['sandbox', 's1'],
      ].map(([kind, key]) => ({
        ...known,
        kind,
        key,
        collectable: false,
      })),
    );
    expect(await rows('SELECT kind, key, flat FROM gc_roots ORDER BY key')).toEqual([
      { kind: 'container', key: 'c1', flat: false },
      { kind: 'container', key: 'c2', flat: false },
      { kind: 'sandbox', key: 's1', flat: false },
    ]);
    const [first] = await rows(`SELECT labels FROM gc_objects WHERE key = 'c1'`);
    expect(first.labels).toEqual({ 'containerd.io/gc.ref.content.x': 'sha256:1' });
  });

  it('shows the snapshot that a container needs', async () => {
    expect(await rows('SELECT from_kind, from_key, to_kind, to_key FROM gc_references')).toEqual([
      { from_kind: 'container', from_key: 'c1', to_kind: 'snapshot', to_key: 'overlayfs/k' },
    ]);
  });

  it('tells by `changed` what was changed after a mark', async () => {
    const [{ mark }] = await rows('SELECT pg_current_snapshot()::text AS mark');
    const changed = () =>
      rows(
        'SELECT key FROM gc_objects WHERE NOT pg_visible_in_snapshot(changed, $1::pg_snapshot) ORDER BY key',
        [mark],
      );
    expect(await changed()).toEqual([]);
    await runtime.containers.update(
      { container: { id: 'c2', labels: { a: '1' } }, updateMask: { paths: ['labels'] } },
      SCOPE,
    );
    await runtime.sandboxes.update(
      { sandbox: { sandboxId: 's1', labels: { a: '1' } }, fields: ['labels'] },
      SCOPE,
    );
    expect(await changed()).toEqual([{ key: 'c2' }, { key: 's1' }]);
  });

  it('deletes no container, and a sandbox only by its uid', async () => {
    await runtime.sandboxes.create({ sandbox: { sandboxId: 'doomed' } }, SCOPE);
    const known = await rows('SELECT kind, key, uid FROM gc_objects ORDER BY key');
    const remove = (uidOf: (row: Record<string, unknown>) => unknown) =>
      rows('SELECT kind, key, topic FROM gc_delete($1, $2, $3, $4, $5)', [
        'default',
        'n1',
        known.map(({ kind }) => kind),
        known.map(({ key }) => key),
        known.map((row) => (row.key === 's1' ? randomUUID() : uidOf(row))),
      ]);
    expect(await remove(() => randomUUID())).toEqual([]);
    expect(await remove(({ uid }) => uid)).toEqual([{ kind: 'sandbox', key: 'doomed', topic: null }]);
    const left = await rows('SELECT kind, key, uid FROM gc_objects ORDER BY key');
    expect(left).toEqual(known.filter(({ key }) => key !== 'doomed'));
  });

  it('keeps a writer waiting while a scope is collected', async () => {
    const collector = await runtime.pool.connect();
    await collector.query('BEGIN');
    await collector.query(
      `SELECT pg_advisory_xact_lock(hashtextextended('gc' || chr(1) || 'default' || chr(1) || 'n1', 0))`,
    );
    let isDone = false;
    const writing = runtime.sandboxes.delete({ sandboxId: 's1' }, SCOPE).then(() => {
      isDone = true;
    });
    await runtime.sandboxes.create(
      { sandbox: { sandboxId: 's2' } },
      { headers: { 'containerd-namespace': 'other' } },
    );
    expect(isDone).toBe(false);
    await collector.query('COMMIT');
    collector.release();
    await writing;
  });
});
