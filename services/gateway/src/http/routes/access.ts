import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type AccessAdmin, DEFAULT_TOKEN_TTL_MS, MAX_TOKEN_TTL_MS } from '../../access/access-admin.ts';
import { ROLES, type Role, WHOLE_FLEET } from '../../access/role.ts';
import type { BindingRecord, TokenRecord } from '../../storage/postgres/access-repository.ts';
import { type PageQuery, pageQuery } from '../page.ts';
import { FOR_ONESELF, inNamespace, namespaceOf } from '../route-rule.ts';
import { answers, answersNothing, idParams, object, pageSchema, text, time } from '../schemas.ts';

const role = { enum: ROLES } as const;

const place = {
  ...text,
  default: 'default',
  description: 'A namespace; `*`: all of them, and what is no namespace’s. Its admins decide.',
} as const;

const subject = {
  ...text,
  description: 'user/<name>, service/<name>, group/<name>, oidc/<issuer>#<subject> or token/<id>.',
} as const;

const bindingProperties = { subject: text, namespace: text, role };
const bindingSchema = object({ ...bindingProperties, created_by: text, created_at: time });
const tokenProperties = {
  id: text,
  description: text,
  namespace: text,
  created_by: text,
  created_at: time,
  expires_at: time,
};

const whoAmISchema = {
  summary: 'Tells whom the edge takes the caller for',
  operationId: 'whoAmI',
  response: answers(
    'The caller.',
    object({
      name: text,
      groups: { type: 'array', items: text },
      bindings: { type: 'array', items: object(bindingProperties) },
      unrestricted: { type: 'boolean', description: 'It may do everything, whatever is bound.' },
    }),
  ),
};

const createTokenSchema = {
  summary: 'Makes an API token with a role; what to send as the bearer token is told in this answer only',
  operationId: 'createToken',
  body: {
    type: 'object',
    required: ['role'],
    additionalProperties: false,
    properties: {
      namespace: place,
      role,
      description: { ...text, default: '', maxLength: 256 },
      ttl_seconds: {
        type: 'integer',
        minimum: 1,
        maximum: MAX_TOKEN_TTL_MS / 1000,
        default: DEFAULT_TOKEN_TTL_MS / 1000,
      },
    },
  },
  response: answers('The token.', object({ ...tokenProperties, secret: text })),
};

const listTokensSchema = {
  summary: 'Lists the API tokens of a namespace, or all, without what makes them good',
  operationId: 'listTokens',
  querystring: { type: 'object', properties: { namespace: place, ...pageQuery } },
  response: answers('The tokens, the newest first.', pageSchema(object(tokenProperties))),
};

const revokeTokenSchema = {
  summary: 'Makes an API token worthless',
  operationId: 'revokeToken',
  params: idParams,
  querystring: { type: 'object', properties: { namespace: place } },
  response: answersNothing,
};

const createBindingSchema = {
  summary: 'Gives a role; one that is there already stays',
  operationId: 'createBinding',
  body: {
    type: 'object',
    required: ['subject', 'role'],
    additionalProperties: false,
    properties: { subject, namespace: place, role },
  },
  response: answers('The binding.', bindingSchema),
};

const listBindingsSchema = {
  summary: 'Lists who has roles in a namespace, or all of them',
  operationId: 'listBindings',
  querystring: { type: 'object', properties: { namespace: place, ...pageQuery } },
  response: answers('In the order of the subjects.', pageSchema(bindingSchema)),
};

const deleteBindingSchema = {
  summary: 'Takes a role away',
  operationId: 'deleteBinding',
  querystring: {
    type: 'object',
    required: ['subject', 'role'],
    properties: { subject, namespace: place, role },
  },
  response: answersNothing,
};

const ADMIN = inNamespace('admin');

/** Who may do what: tokens and role bindings. */
export function accessRoutes(app: FastifyInstance, admin: AccessAdmin): void {
  app.get('/whoami', { schema: whoAmISchema, config: FOR_ONESELF }, ({ caller }) => admin.whoAmI(caller));

  app.post<{ Body: { role: Role; description: string; ttl_seconds: number } }>(
    '/tokens',
    { schema: createTokenSchema, config: ADMIN },
    async (request) => {
      const { role, description, ttl_seconds } = request.body;
      const wanted = { namespace: namespaceOf(request), role, description, ttlMs: ttl_seconds * 1000 };
      const { token, secret } = await admin.createToken(request.caller, wanted);
      return { ...tokenToJson(token), secret };
    },
  );

  app.get<{ Querystring: PageQuery }>(
    '/tokens',
    { schema: listTokensSchema, config: ADMIN },
    async (request) => {
      const { items, cursor = null } = await admin.listTokens({
        ...request.query,
        namespace: placeOf(request),
      });
      return { items: items.map(tokenToJson), next_cursor: cursor };
    },
  );

  app.delete<{ Params: { id: string } }>(
    '/tokens/:id',
    { schema: revokeTokenSchema, config: ADMIN },
    async (request, reply) => {
      await admin.revokeToken(request.params.id, placeOf(request));
      return reply.code(204).send();
    },
  );

  app.post<{ Body: { subject: string; role: Role } }>(
    '/bindings',
    { schema: createBindingSchema, config: ADMIN },
    async (request) => {
      const { subject, role } = request.body;
      return bindingToJson(
        await admin.bind(request.caller, { subject, namespace: namespaceOf(request), role }),
      );
    },
  );

  app.get<{ Querystring: PageQuery }>(
    '/bindings',
    { schema: listBindingsSchema, config: ADMIN },
    async (request) => {
      const { items, cursor = null } = await admin.listBindings({
        ...request.query,
        namespace: placeOf(request),
      });
      return { items: items.map(bindingToJson), next_cursor: cursor };
    },
  );

  app.delete<{ Querystring: { subject: string; role: Role } }>(
    '/bindings',
    { schema: deleteBindingSchema, config: ADMIN },
    async (request, reply) => {
      const { subject, role } = request.query;
      await admin.unbind({ subject, namespace: namespaceOf(request), role });
      return reply.code(204).send();
    },
  );
}

/** Undefined for all, which who may in the whole fleet asks for. */
function placeOf(request: FastifyRequest): string | undefined {
  const namespace = namespaceOf(request);
  return namespace === WHOLE_FLEET ? undefined : namespace;
}

function tokenToJson({ createdBy, createdAt, expiresAt, ...token }: TokenRecord) {
  return {
    ...token,
    created_by: createdBy,
    created_at: createdAt.toISOString(),
    expires_at: expiresAt.toISOString(),
  };
}

function bindingToJson({ createdBy, createdAt, ...binding }: BindingRecord) {
  return { ...binding, created_by: createdBy, created_at: createdAt.toISOString() };
}
