import { randomBytes } from 'node:crypto';
import { parseIdentifier } from '@longshore/oci';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ContainerParts } from '../../access/host/container-reason.ts';
import type { Backends } from '../backends.ts';
import { imagePlatform } from '../containers/image-platform.ts';
import { markReplayed, repeatableName } from '../idempotency.ts';
import { openCallOf } from '../request-call.ts';
import { creating, inNamespace } from '../route-rule.ts';
import { typed } from '../schema-types.ts';
import { answersEvents, object, text, time } from '../schemas.ts';
import { type ServerSentEvent, sendEvents } from '../server-sent-events.ts';
import { nodeOfRun } from './node-of-run.ts';
import type { RunPlace } from './run-container.ts';
import { locationOf, type MadeContainer } from './run-keeping.ts';
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
        'later the container goes on, unless it has `rm`: then it is stopped and removed. With an `Idempotency-Key` it goes on with `rm` too, and ' +
        'a repetition is told of the same container, from the beginning of its output.',
    ),
    201: {
      description: 'Detached: it has started.',
      ...object({ id: text, node: text, image: text, pid: { type: 'integer' }, created_at: time }),
    },
  },
} as const;

export function runRoute(app: FastifyInstance, backends: Backends): void {
  const config = { ...creating(inNamespace('write')), goesOn: true };

  typed(app).post('/containers/run', { schema, config }, async (request, reply) => {
    // What few use: it makes specs, and knows images.
    const { requireSense, runContainer } = await import('./run-container.ts');
    const { body } = request;
    requireSense(body);
    const earlier = earlierOf(request);
    const place = await placeOf(backends, request, reply, earlier);
    const isIdOfKey = body.id === undefined && request.repeatable !== undefined;
    const keeping = { earlier, isIdOfKey, claim: request.takeClaim() };
    if (earlier) markReplayed(reply);
    const judge = (container: ContainerParts) => request.requireHost(container);
    if (!body.detach) {
      // Who leaves before it has started wants nothing of it, a repetition is done anew.
      const signal = AbortSignal.any([place.call.signal, closed(reply)]);
      const followed = { ...place, call: { ...place.call, signal } };
      return sendEvents(reply, request.id, runContainer(backends, body, followed, judge, keeping));
    }
    const made = await summary(runContainer(backends, body, place, judge, keeping));
    return reply
      .code(201)
      .header('location', locationOf(place))
      .send({ ...earlier, ...made });
  });
}

function earlierOf({ repeated }: FastifyRequest): MadeContainer | undefined {
  return repeated && (JSON.parse(repeated.body) as MadeContainer);
}

function closed({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  raw.once('close', () => controller.abort());
  return controller.signal;
}

async function placeOf(
  backends: Backends,
  request: FastifyRequest & { body: RunRequest; query: { node?: string } },
  reply: FastifyReply,
  earlier: MadeContainer | undefined,
): Promise<RunPlace> {
  const { image, platform } = request.body;
  const id =
    earlier?.id ?? request.body.id ?? repeatableName(request) ?? randomBytes(ID_BYTES).toString('hex');
  parseIdentifier(id, 'container');
  const { expandShortName } = await import('@longshore/registry');
  const node = earlier?.node ?? request.query.node;
  const chosen = await nodeOfRun(backends, node, openCallOf(request, reply, {}));
  return {
    node: chosen.id,
    platform: imagePlatform(platform, chosen.architecture),
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
