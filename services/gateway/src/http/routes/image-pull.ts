import type { FastifyInstance } from 'fastify';
import type { Backends } from '../backends.ts';
import { pullEvents } from '../pull-events.ts';
import { openCallOf } from '../request-call.ts';
import { inNamespace } from '../route-rule.ts';
import { answersEvents, namespaceQuery, text } from '../schemas.ts';
import { sendEvents } from '../server-sent-events.ts';

interface Pull {
  reference: string;
  namespace: string;
  nodes?: string[];
  selector?: string;
  platform?: string;
  snapshotter?: string;
  max_concurrent?: number;
  username?: string;
  password?: string;
  plain_http?: boolean;
}

const schema = {
  summary: 'Fetches an image once for the fleet, and has the chosen nodes link, unpack and record it',
  operationId: 'pullImage',
  body: {
    type: 'object',
    required: ['reference'],
    additionalProperties: false,
    properties: {
      reference: { ...text, minLength: 1 },
      namespace: namespaceQuery,
      nodes: { type: 'array', items: text, description: 'Ids of nodes.' },
      selector: {
        ...text,
        description: 'Labels of ready nodes, e.g. `zone=a,gpu`. With neither, the image is only fetched.',
      },
      platform: { ...text, description: "e.g. `linux/arm64/v8`; default: each node's own." },
      snapshotter: text,
      max_concurrent: { type: 'integer', minimum: 1, maximum: 1000, description: 'Nodes at a time.' },
      username: text,
      password: { ...text, description: 'Of the registry; kept nowhere.' },
      plain_http: { type: 'boolean' },
    },
  },
  response: answersEvents(
    'Events `progress` with what goes on, and as the last one `report` with the outcome of each node, or `problem`.',
  ),
};

export function imagePullRoute(app: FastifyInstance, { fleetImages }: Backends): void {
  app.post<{ Body: Pull }>(
    '/images/pull',
    { schema, config: inNamespace('write') },
    async (request, reply) => {
      const { namespace: _, plain_http: plainHttp, max_concurrent: maxConcurrent, ...rest } = request.body;
      const wanted = {
        ...rest,
        ...(plainHttp !== undefined && { plainHttp }),
        ...(maxConcurrent !== undefined && { maxConcurrent }),
      };
      const answers = fleetImages.pull(wanted, openCallOf(request, reply, {}));
      return sendEvents(reply, request.id, pullEvents(answers));
    },
  );
}
