import type { FastifyInstance } from 'fastify';
import type { Backends } from '../backends.ts';
import { pageOf, pageQuery } from '../page.ts';
import { callOf, openCallOf } from '../request-call.ts';
import { inNamespace, ofFleet } from '../route-rule.ts';
import { typed } from '../schema-types.ts';
import { answers, fields, namespaceQuery, nodeQuery, object, pageSchema, text, time } from '../schemas.ts';
import { timeToJson } from '../time.ts';

const scope = { namespace: namespaceQuery, node: nodeQuery } as const;

const kind = {
  ...text,
  minLength: 1,
  description: 'e.g. `content`, `image`, `snapshot`, `container`.',
} as const;
const key = {
  ...text,
  minLength: 1,
  description: 'e.g. a digest; of a snapshot `<snapshotter>/<key>`.',
} as const;

const collectSchema = {
  summary: 'Removes what nothing refers to any more',
  operationId: 'collect',
  querystring: fields(scope),
  body: {
    ...fields({
      wait: { type: 'boolean', default: true, description: 'False asks for a collection soon.' },
      force: {
        type: 'boolean',
        default: false,
        description:
          'Also when it would remove more than is usual, or a service seems not to tell what there is.',
      },
    }),
    type: ['object', 'null'],
  },
  response: answers(
    'It was collected, or will be.',
    object({ removed: { type: 'integer', description: 'Records; 0 when not waited for.' } }),
  ),
} as const;

const dryRunSchema = {
  summary: 'Tells what a collection would remove now',
  operationId: 'dryRunCollection',
  querystring: fields({ ...scope, force: { type: 'boolean', default: false }, ...pageQuery }),
  response: answers(
    'What nothing refers to, in byte order of kinds and keys.',
    pageSchema(
      object({
        kind: text,
        key: text,
        size_bytes: { type: ['integer', 'null'], description: 'Where it is known.' },
        since: {
          type: ['string', 'null'],
          format: 'date-time',
          description: 'When this was first found out.',
        },
      }),
    ),
  ),
} as const;

const whySchema = {
  summary: 'Tells what keeps an object, or that nothing does',
  operationId: 'explainCollection',
  querystring: fields({ ...scope, kind, key }, ['kind', 'key']),
  response: answers(
    'What is known of it.',
    object({
      chain: {
        type: 'array',
        description: 'From what stays by itself to the object; empty when nothing keeps it.',
        items: object({
          kind: text,
          key: text,
          label: { ...text, description: 'By which the one before refers to it; empty: by a field.' },
        }),
      },
      root_reason: { ...text, description: 'Why the first one stays by itself.' },
      unreached_since: { type: ['string', 'null'], format: 'date-time' },
      holders: {
        type: 'array',
        description: 'Of content: scopes that have its bytes.',
        items: object({ namespace: text, node: text }),
      },
      tombstones: {
        type: 'array',
        description: 'Of content: bytes that go.',
        items: object({ generation: text, buried_at: time, goes_after: time }),
      },
    }),
  ),
} as const;

export function collectionRoutes(app: FastifyInstance, { collector }: Backends): void {
  const routes = typed(app);

  routes.post(
    '/collections',
    { schema: collectSchema, config: inNamespace('write') },
    async (request, reply) => {
      const { node } = request.query;
      const { wait = true, force = false } = request.body ?? {};
      const { removed } = await collector.collect({ wait, force }, openCallOf(request, reply, { node }));
      return { removed: Number(removed) };
    },
  );

  routes.get(
    '/collections/dry-run',
    { schema: dryRunSchema, config: inNamespace('read') },
    async (request, reply) => {
      const { node, force } = request.query;
      const answers = collector.dryRun({ force }, openCallOf(request, reply, { node }));
      async function* objects() {
        for await (const answer of answers) yield* answer.objects;
      }
      const page = await pageOf(objects(), (found) => [found.kind, found.key], request.query, 2);
      const items = page.items.map(({ kind, key, sizeBytes, since }) => ({
        kind,
        key,
        size_bytes: sizeBytes === undefined ? null : Number(sizeBytes),
        since: timeToJson(since) ?? null,
      }));
      return { ...page, items };
    },
  );

  routes.get('/collections/why', { schema: whySchema, config: ofFleet('read') }, async (request, reply) => {
    const { node, kind, key } = request.query;
    const told = await collector.explain({ kind, key }, callOf(request, reply, { node }));
    return {
      chain: told.chain.map(({ kind, key, label }) => ({ kind, key, label })),
      root_reason: told.rootReason,
      unreached_since: timeToJson(told.unreachedSince) ?? null,
      holders: told.holders.map(({ namespace, node }) => ({ namespace, node })),
      tombstones: told.tombstones.map(({ generation, buriedAt, goesAfter }) => ({
        generation,
        buried_at: timeToJson(buriedAt),
        goes_after: timeToJson(goesAfter),
      })),
    };
  });
}
