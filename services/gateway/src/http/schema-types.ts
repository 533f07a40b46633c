import type { FastifyInstance, FastifyTypeProvider } from 'fastify';
import type { FromSchema, JSONSchema } from 'json-schema-to-ts';

/** What a handler gets has the types of its route's schema, which are literals. Answers are written by their schemas. */
interface SchemaTypes extends FastifyTypeProvider {
  validator: this['schema'] extends JSONSchema ? FromSchema<this['schema']> : unknown;
  serializer: unknown;
}

/** Routes added to it take the types of their requests from their schemas. */
export function typed(app: FastifyInstance) {
  return app.withTypeProvider<SchemaTypes>();
}
