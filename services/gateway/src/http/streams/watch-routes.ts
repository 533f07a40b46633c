import { isKind } from '@longshore/errors';
import { parseIdentifier } from '@longshore/oci';
import { FLEET } from '@longshore/proto/headers';
import type { SubscribeResponse } from '@longshore/proto/longshore/events/v1/events';
import type { FastifyInstance } from 'fastify';
import type { Backends } from '../backends.ts';
import { openCallOf, type RequestCall } from '../request-call.ts';
import { inNamespace } from '../route-rule.ts';
import { typed } from '../schema-types.ts';
import { answersEvents, fields, namespaceQuery, text } from '../schemas.ts';
import { type ServerSentEvent, sendEvents } from '../server-sent-events.ts';
import { sequenceOf } from './sequence.ts';
import { WATCHED_KINDS, type WatchedKind } from './watched-kinds.ts';

const schema = {
  summary: 'What there is of a kind, and then each change',
  operationId: 'watch',
  querystring: fields(
    {
      kind: { enum: ['containers', 'images', 'tasks'] },
      namespace: namespaceQuery,
      node: {
        ...text,
        description:
          "A node's id; default: containers and tasks of all nodes, images of the fleet's own scope.",
      },
    },
    ['kind'],
  ),
  response: answersEvents(
    '`reset`: forget all; `listed`, for each that there is; `synced`, with `unreachable_nodes`, which did not tell all; then `changed`, with the whole object, and `removed`. With the id of an ' +
      'event as `Last-Event-ID` it goes on behind that without a list, or begins anew when that is too long ago.',
  ),
} as const;

export function watchRoutes(app: FastifyInstance, backends: Backends): void {
  typed(app).get('/watch', { schema, config: inNamespace('read') }, async (request, reply) => {
    const { kind, node } = request.query;
    if (node !== undefined && node !== FLEET) parseIdentifier(node, 'node');
    const call = openCallOf(request, reply, {});
    const wanted = { kind: WATCHED_KINDS[kind], node, after: sequenceOf(request, undefined) };
    return sendEvents(reply, request.id, watch(backends, call, wanted));
  });
}

interface Wanted {
  kind: WatchedKind;
  node: string | undefined;
  after: bigint | undefined;
}

type Feed = AsyncIterator<Pick<SubscribeResponse, 'sequence' | 'event'>>;

/** Subscribes before it lists, so that a change is in the list, or comes behind it, or both. */
async function* watch(
  backends: Backends,
  call: RequestCall,
  { kind, node, after }: Wanted,
): AsyncGenerator<ServerSentEvent> {
  const filters = kind.topics.map((topic) => `topic==${JSON.stringify(topic)}`);
  const scope = node ?? (kind === WATCHED_KINDS.images ? FLEET : '');
  const open = async (place: { afterSequence?: bigint }) => {
    const feed: Feed = backends.events
      .subscribe({ filters, node: scope, ...place }, call)
      [Symbol.asyncIterator]();
    const first = await feed.next();
    return { feed, begin: first.done ? 0n : first.value.sequence };
  };
  const resumed = after === undefined ? undefined : await orUndefined(open({ afterSequence: after }));
  const { feed, begin } = resumed ?? (await open({}));
  const unreachable = new Set<string>();
  try {
    if (!resumed) {
      yield { event: 'reset', data: {} };
      for await (const item of kind.list(backends, call, node, unreachable))
        yield { event: 'listed', data: item };
    }
    yield { event: 'synced', id: begin.toString(), data: { unreachable_nodes: [...unreachable].sort() } };
    for (let next = await feed.next(); !next.done; next = await feed.next()) {
      const { sequence, event } = next.value;
      const id = sequence.toString();
      if (!event) {
        yield { event: 'progress', id, data: {} };
        continue;
      }
      const { node, subject: name } = event;
      const object = await kind.get(backends, call, node, name);
      yield object === undefined
        ? { event: 'removed', id, data: { node, name } }
        : { event: 'changed', id, data: { node, name, object } };
    }
  } finally {
    await feed.return?.();
  }
}

async function orUndefined<T>(opening: Promise<T>): Promise<T | undefined> {
  try {
    return await opening;
  } catch (error) {
    if (isKind(error, 'OutOfRange')) return undefined;
    throw error;
  }
}
