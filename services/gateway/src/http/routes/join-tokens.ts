import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { JoinToken } from '@longshore/proto/longshore/runtime/v1/nodes';
import type { FastifyInstance } from 'fastify';
import type { Backends } from '../backends.ts';
import { type PageQuery, pageOf, pageQuery } from '../page.ts';
import { callOf } from '../request-call.ts';
import { ofFleet } from '../route-rule.ts';
import {
  answers,
  answersNothing,
  fields,
  idParams,
  object,
  pageSchema,
  text,
  texts,
  time,
} from '../schemas.ts';
import { timeToJson } from '../time.ts';

const WEEK_SECONDS = 7 * 24 * 3600;

interface NewToken {
  ttl_seconds?: number;
  node_id?: string;
  labels?: Record<string, string>;
}

const createSchema = {
  summary: 'Makes a token that lets one machine join, once; the token is told in this answer only',
  operationId: 'createJoinToken',
  body: {
    type: ['object', 'null'],
    additionalProperties: false,
    properties: {
      ttl_seconds: { type: 'integer', minimum: 1, maximum: WEEK_SECONDS, default: 3600 },
      node_id: {
        type: 'string',
        description: "The only id that it is good for. Default: the machine's choice.",
      },
      labels: { ...texts, description: 'That the node begins with.' },
    },
  },
  response: answers(
    'The token.',
    object({
      id: text,
      token: text,
      expires_at: time,
      server: { type: 'string', description: 'Where the machine asks to join, `host:port`.' },
      command: {
        type: 'string',
        description: 'What to run on the machine, as root, in the directory of longshore.',
      },
    }),
  ),
};

const listSchema = {
  summary: 'Lists the join tokens, without what makes them good',
  operationId: 'listJoinTokens',
  querystring: fields(pageQuery),
  response: answers(
    'The tokens.',
    pageSchema(
      object({
        id: text,
        node_id: text,
        labels: texts,
        created_at: time,
        expires_at: time,
        used_by: { type: 'string', description: 'Id of the node that joined by it; empty until then.' },
      }),
    ),
  ),
};

const deleteSchema = {
  summary: 'Makes a join token worthless',
  operationId: 'deleteJoinToken',
  params: idParams,
  response: answersNothing,
};

export function joinTokenRoutes(app: FastifyInstance, { nodeAdmin }: Backends): void {
  app.post<{ Body: NewToken | null }>(
    '/join-tokens',
    { schema: createSchema, config: ofFleet('admin') },
    async (request, reply) => {
      const { ttl_seconds: seconds, node_id: nodeId = '', labels = {} } = request.body ?? {};
      const ttl = seconds === undefined ? undefined : durationFromMs(seconds * 1000);
      const made = await nodeAdmin.createJoinToken(
        { nodeId, labels, ...(ttl && { ttl }) },
        callOf(request, reply, {}),
      );
      // It is a secret: nothing on the way may keep it.
      reply.header('cache-control', 'no-store');
      return {
        id: made.id,
        token: made.token,
        expires_at: timeToJson(made.expiresAt),
        server: made.server,
        command: joinCommand(made.token, made.server),
      };
    },
  );

  app.get<{ Querystring: PageQuery }>(
    '/join-tokens',
    { schema: listSchema, config: ofFleet('admin') },
    async (request, reply) => {
      const { tokens } = await nodeAdmin.listJoinTokens({}, callOf(request, reply, {}));
      const page = await pageOf(tokens, ({ id }) => [id], request.query);
      return { ...page, items: page.items.map(tokenToJson) };
    },
  );

  app.delete<{ Params: { id: string } }>(
    '/join-tokens/:id',
    { schema: deleteSchema, config: ofFleet('admin') },
    async (request, reply) => {
      await nodeAdmin.deleteJoinToken(request.params, callOf(request, reply, {}));
      return reply.code(204).send();
    },
  );
}

/** The token goes by standard input: arguments can be read by every user of a machine. `printf` is the shell's own. */
export function joinCommand(token: string, server: string): string {
  return `printf %s ${quoted(token)} | node services/agent/src/main.ts join --server ${quoted(server)}`;
}

/** For a shell; plain words stay as they are. */
function quoted(word: string): string {
  return /^[\w.:=@/+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function tokenToJson(token: JoinToken) {
  return {
    id: token.id,
    node_id: token.nodeId,
    labels: token.labels,
    created_at: timeToJson(token.createdAt),
    expires_at: timeToJson(token.expiresAt),
    used_by: token.usedBy,
  };
}
