import { randomBytes } from 'node:crypto';
import { parseIdentifier, platformOfNode } from '@longshore/oci';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Backends } from '../backends.ts';
import { openCallOf } from '../request-call.ts';
import { inNamespace } from '../route-rule.ts';
import { typed } from '../schema-types.ts';
import { answersEvents, object, text } from '../schemas.ts';
import { type ServerSentEvent, sendEvents } from '../server-sent-events.ts';
import { nodeOfRun } from './node-of-run.ts';
import type { RunPlace } from './run-container.ts';
import { type RunRequest, runBody, runQuery } from './run-request.ts';

const ID_BYTES = 6;
const schema = {
  summary:
    'Runs a container: pulls its image when it is missing, makes, starts and follows it, and removes it if wanted',
  operationId: 'runContainer',
  querystring: runQuery,
  body: runBody,
  response: {
    ...answersEvents(
      'Events `pull`, `created`, `started`, `output`, `exited` and `removed`, or `problem`. Who leaves before `started` leaves nothing; ' +
        'later the container goes on, unless it has `rm`: then it is stopped and removed.',
    ),
    201: {
      description: 'Detached: it has started.',
      ...object({ id: text, node: text, image: text, pid: { type: 'integer' } }),
    },
  },
} as const;

export function runRoute(app: FastifyInstance, backends: Backends): void {
  typed(app).post('/containers/run', { schema, config: inNamespace('write') }, async (request, reply) => {
    // What few use: it makes specs, and knows images.
    const { requireSense, runContainer } = await import('./run-container.ts');
    requireSense(request.body);
    const place = await placeOf(backends, request, reply);
    const events = runContainer(backends, request.body, place, (container) => request.requireHost(container));
    if (!request.body.detach) return sendEvents(reply, request.id, events);
    return reply.code(201).send(await summary(events));
  });
}

async function placeOf(
  backends: Backends,
  request: FastifyRequest & { body: RunRequest; query: { node?: string } },
  reply: FastifyReply,
): Promise<RunPlace> {
  const { image, id = randomBytes(ID_BYTES).toString('hex') } = request.body;
  const { node } = request.query;
  parseIdentifier(id, 'container');
  const { expandShortName } = await import('@longshore/registry');
  const chosen = await nodeOfRun(backends, node, openCallOf(request, reply, {}));
  return {
    node: chosen.id,
    architecture: platformOfNode(chosen.architecture).architecture,
    agent: await backends.agent(chosen.id),
    image: expandShortName(image),
    id,
    call: openCallOf(request, reply, { node: chosen.id }),
  };
}

/** What the events of a detached run have told. */
async function summary(events: AsyncIterable<ServerSentEvent>): Promise<object> {
  let told = {};
  for await (const { event, data } of events) if (event !== 'pull') told = { ...told, ...(data as object) };
  return told;
}
