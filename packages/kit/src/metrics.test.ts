import { describe, expect, it, onTestFinished } from 'vitest';
import { createMetrics, serveMetrics } from './metrics.ts';

async function served(health: { isHealthy: boolean; database?: Error }) {
  const server = await serveMetrics(createMetrics('test'), '127.0.0.1:0', {
    isHealthy: () => health.isHealthy,
    checks: {
      database: async () => {
        if (health.database) throw health.database;
      },
    },
  });
  onTestFinished(() => server.close());
  return async (path: string) => {
    const response = await fetch(`http://${server.address}${path}`);
    return [response.status, await response.text()];
  };
}

describe('the health of a process over HTTP', () => {
  it('is its own at /healthz, and that of what it needs at /readyz', async () => {
    const health: { isHealthy: boolean; database?: Error } = { isHealthy: true };
    const get = await served(health);
    expect(await get('/healthz')).toEqual([200, 'ok\n']);
    expect(await get('/readyz')).toEqual([200, 'ok\n']);
    health.database = new Error('database: connect ECONNREFUSED');
    expect(await get('/healthz')).toEqual([200, 'ok\n']);
    expect(await get('/readyz')).toEqual([503, 'database: connect ECONNREFUSED\n']);
    delete health.database;
    health.isHealthy = false;
    expect(await get('/healthz')).toEqual([503, 'not serving\n']);
    expect(await get('/readyz')).toEqual([503, 'not serving\n']);
  });
});
