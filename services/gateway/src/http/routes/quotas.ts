import { internal } from '@longshore/errors';
import type { Quota } from '@longshore/proto/longshore/content/v1/quotas';
import type { FastifyInstance } from 'fastify';
import type { Backends } from '../backends.ts';
import { pageOf, pageQuery } from '../page.ts';
import { callOf } from '../request-call.ts';
import { inNamespace, ofFleet } from '../route-rule.ts';
import { typed } from '../schema-types.ts';
import { answers, fields, namespaceParams, object, pageSchema, text } from '../schemas.ts';

const count = { type: 'integer' } as const;
const limit = {
  type: ['integer', 'null'],
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: '0: no limit; null: the default.',
} as const;

const quotaSchema = object({
  namespace: text,
  own: object({ stored_bytes: { type: ['integer', 'null'] }, open_ingests: { type: ['integer', 'null'] } }),
  max_stored_bytes: { ...count, description: 'What holds; 0: no limit.' },
  max_open_ingests: count,
  stored_bytes: { ...count, description: 'What there is, each blob counted once.' },
  open_ingests: count,
});

const listSchema = {
  summary: 'Lists what namespaces have and may have over all nodes',
  operationId: 'listQuotas',
  querystring: fields(pageQuery),
  response: answers(
    'Of the namespaces that have something, or limits of their own.',
    pageSchema(quotaSchema),
  ),
} as const;

const getSchema = {
  summary: 'Tells what a namespace has and may have over all nodes',
  operationId: 'getQuota',
  params: namespaceParams,
  response: answers('The quota.', quotaSchema),
} as const;

const setSchema = {
  summary: "Replaces a namespace's own limits",
  operationId: 'setQuota',
  params: namespaceParams,
  body: fields({ stored_bytes: limit, open_ingests: limit }),
  response: answers('The quota, as it is now.', quotaSchema),
} as const;

export function quotaRoutes(app: FastifyInstance, { quotas }: Backends): void {
  const routes = typed(app);

  routes.get('/quotas', { schema: listSchema, config: ofFleet('read') }, async (request, reply) => {
    const { quotas: all } = await quotas.list({}, callOf(request, reply, {}));
    const page = await pageOf(all, ({ namespace }) => [namespace], request.query);
    return { ...page, items: page.items.map(quotaToJson) };
  });

  routes.get(
    '/quotas/:namespace',
    { schema: getSchema, config: inNamespace('read') },
    async (request, reply) => answered(await quotas.get(request.params, callOf(request, reply, {}))),
  );

  routes.put(
    '/quotas/:namespace',
    { schema: setSchema, config: ofFleet('admin') },
    async (request, reply) => {
      const { stored_bytes: bytes, open_ingests: ingests } = request.body;
      const limits = {
        ...(bytes != null && { storedBytes: BigInt(bytes) }),
        ...(ingests != null && { openIngests: BigInt(ingests) }),
      };
      const { namespace } = request.params;
      return answered(await quotas.set({ namespace, limits }, callOf(request, reply, {})));
    },
  );
}

function answered({ quota }: { quota?: Quota | undefined }) {
  if (!quota) throw internal('quota: none was answered');
  return quotaToJson(quota);
}

function quotaToJson({ namespace, own, ...quota }: Quota) {
  return {
    namespace,
    own: { stored_bytes: numberOf(own?.storedBytes), open_ingests: numberOf(own?.openIngests) },
    max_stored_bytes: Number(quota.maxStoredBytes),
    max_open_ingests: Number(quota.maxOpenIngests),
    stored_bytes: Number(quota.storedBytes),
    open_ingests: Number(quota.openIngests),
  };
}

function numberOf(value: bigint | undefined): number | null {
  return value === undefined ? null : Number(value);
}
