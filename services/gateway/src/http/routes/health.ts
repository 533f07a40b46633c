import type { FastifyInstance } from 'fastify';
import { FOR_ANYONE } from '../route-rule.ts';

export interface HealthSource {
  /** Whether the process takes calls. */
  isHealthy(): boolean;
  /** Throws while what it keeps cannot be reached. */
  pingDatabase(): Promise<void>;
}

/** For those who balance, restart and roll out; they show no credentials, and are told no addresses. */
export function healthRoutes(app: FastifyInstance, { isHealthy, pingDatabase }: HealthSource): void {
  for (const path of ['/healthz', '/livez']) {
    app.get(path, { config: FOR_ANYONE }, async (_, reply) => {
      const healthy = isHealthy();
      return reply.code(healthy ? 200 : 503).send({ healthy });
    });
  }

  app.get('/readyz', { config: FOR_ANYONE }, async (_, reply) => {
    const missing = await pingDatabase().then(
      () => [],
      () => ['database'],
    );
    const ready = isHealthy() && missing.length === 0;
    return reply.code(ready ? 200 : 503).send({ ready, missing });
  });
}
