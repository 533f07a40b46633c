import type { FastifyInstance } from 'fastify';
import { VERSION } from '../../version.ts';
import { FOR_ONESELF } from '../route-rule.ts';
import { answers, object } from '../schemas.ts';

const schema = {
  summary: 'Tells the version of the gateway',
  operationId: 'getVersion',
  response: answers('The version.', object({ version: { type: 'string' }, revision: { type: 'string' } })),
};

export function versionRoutes(app: FastifyInstance): void {
  app.get('/version', { schema, config: FOR_ONESELF }, async () => VERSION);
}
