import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { invalidArgument } from '@longshore/errors';
import { SubscribeRequestSchema, type SubscribeResponse } from '@longshore/proto/longshore/events/v1/events';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Backends } from '../backends.ts';
import { openCallOf } from '../request-call.ts';
import { inNamespace, ofFleet } from '../route-rule.ts';
import { answers, namespaceQuery, text } from '../schemas.ts';
import { type ServerSentEvent, sendEvents } from '../server-sent-events.ts';
import { pointInTime } from '../tasks/point-in-time.ts';
import { eventEncoder } from './event-json.ts';
import { sequenceOf } from './sequence.ts';

interface EventQuery {
  node?: string;
  filter?: string[];
  since?: string;
  after?: string;
}

const eventQuery = {
  node: { ...text, description: "A node's id, or `_` for the fleet's own scope; default: all." },
  filter: {
    type: 'array',
    items: text,
    description: "containerd's filters on `topic`, `namespace` and `event.<field>`, of which one must match.",
  },
  since: {
    ...text,
    description: 'Stored events since then come first: RFC 3339, seconds since 1970, or an age.',
  },
  after: { ...text, description: 'Of an earlier event, as `Last-Event-ID`: those behind it come first.' },
} as const;

const answersEvents = answers(
  'Events `opened`, `event`, and when it cannot go on `problem`. The id of each is its place: with `Last-Event-ID`, or ' +
    '`after`, a caller goes on behind it. 416: what is behind it is not kept any more; list anew.',
  { content: { 'text/event-stream': { schema: text } } },
);

const schema = {
  summary: 'The events of a namespace, as they happen',
  operationId: 'watchEvents',
  querystring: { type: 'object', properties: { namespace: namespaceQuery, ...eventQuery } },
  response: answersEvents,
};

const fleetSchema = {
  summary: "The events of all namespaces, and of what is no namespace's, as they happen",
  operationId: 'watchFleetEvents',
  querystring: { type: 'object', properties: eventQuery },
  response: answersEvents,
};

export function eventRoutes(app: FastifyInstance, backends: Backends): void {
  app.get<{ Querystring: EventQuery & { namespace?: string } }>(
    '/events',
    { schema, config: inNamespace('read') },
    async (request, reply) => {
      const wanted = wantedBy(request);
      const responses = backends.events.subscribe(wanted, openCallOf(request, reply, {}));
      return sendEvents(reply, request.id, toServerSentEvents(responses));
    },
  );

  app.get<{ Querystring: EventQuery }>(
    '/fleet/events',
    { schema: fleetSchema, config: ofFleet('read') },
    async (request, reply) => {
      const wanted = create(SubscribeRequestSchema, wantedBy(request));
      const responses = backends.events.subscribeFleet({ wanted }, openCallOf(request, reply, {}));
      return sendEvents(reply, request.id, toServerSentEvents(responses));
    },
  );
}

function wantedBy(
  request: FastifyRequest<{ Querystring: EventQuery }>,
): MessageInitShape<typeof SubscribeRequestSchema> {
  const { node = '', filter: filters = [], since, after } = request.query;
  const sequence = sequenceOf(request, after);
  if (since !== undefined && after !== undefined) throw invalidArgument('since and after: want one of them');
  return {
    node,
    filters,
    ...(sequence !== undefined && { afterSequence: sequence }),
    ...(since !== undefined && sequence === undefined && { since: pointInTime(since, 'since') }),
  };
}

async function* toServerSentEvents(
  responses: AsyncIterable<Pick<SubscribeResponse, 'sequence' | 'event'>>,
): AsyncGenerator<ServerSentEvent> {
  const encode = await eventEncoder();
  let isOpen = false;
  for await (const { sequence, event } of responses) {
    const id = sequence.toString();
    if (event) yield { id, event: 'event', data: encode(event) };
    // Later ones without an event say how far filters have let nothing through.
    else yield { id, event: isOpen ? 'progress' : 'opened', data: { sequence: Number(sequence) } };
    isOpen = true;
  }
}
