import { openPool } from '@longshore/postgres';
import { APPS, containerRecord } from '../scale/container-record.ts';

const BATCH = 10_000;

/**
 * Puts containers as those of `containerRecord` into the table of `runtime`, each node's one after another, so that those of one
 * app are on as many nodes as there can be.
 */
export async function fillContainers(databaseUrl: string, count: number, nodes: number): Promise<void> {
  const pool = openPool({ url: databaseUrl, schema: 'runtime', size: 1 });
  const { spec } = containerRecord(0);
  try {
    for (let first = 0; first < count; first += BATCH) {
      await pool.query(INSERT, [
        first,
        Math.min(first + BATCH, count) - 1,
        count / nodes,
        APPS,
        spec?.typeUrl,
        spec?.value,
      ]);
    }
    await pool.query('VACUUM ANALYZE containers');
  } finally {
    await pool.end();
  }
}

const INSERT = `
  INSERT INTO containers (namespace, node, id, revision, labels, image, runtime_name, spec_type_url, spec, snapshotter,
    snapshot_key)
  SELECT 'default', 'n' || (n / $3::int + 1), 'container-' || n, nextval('revision'),
    jsonb_build_object('app', 'app-' || n % $4::int, 'tier', CASE n % 3 WHEN 0 THEN 'web' ELSE 'worker' END,
      'containerd.io/restart.policy', 'always', 'nerdctl/hostname', 'container-' || n),
    'registry.example.net/apps/app-' || n % $4::int || ':1.0', 'io.containerd.runc.v2', $5, $6, 'overlayfs',
    'container-' || n
  FROM generate_series($1::int, $2::int) AS n`;
