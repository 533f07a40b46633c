import { internal, isKind } from '@longshore/errors';
import type { Container } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { FLEET } from '@longshore/proto/headers';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { nodeOfContainer } from '../../nodes/container-finder.ts';
import type { Backends } from '../backends.ts';
import { type ContainerStatus, STATUSES, wholeContainerToJson } from '../containers/container-json.ts';
import { createContainer } from '../containers/create-container.ts';
import { descriptionSchema } from '../containers/description.ts';
import { listContainers } from '../containers/list-containers.ts';
import { ifMatch, tagReply } from '../entity-tag.ts';
import { repeatableName } from '../idempotency.ts';
import { labelUpdate } from '../labels.ts';
import { pageQuery } from '../page.ts';
import { callOf, openCallOf } from '../request-call.ts';
import { creating, inNamespace, versioned } from '../route-rule.ts';
import { typed } from '../schema-types.ts';
import {
  answers,
  answersCreated,
  containerSchema,
  fields,
  filterQuery,
  idParams,
  labelChanges,
  namespaceQuery,
  object,
  pageSchema,
  text,
  unreachableSchema,
  wholeContainerSchema,
} from '../schemas.ts';

const itsNode = { ...text, description: 'Default: the one node that has it.' } as const;
const ofContainer = fields({ namespace: namespaceQuery, node: itsNode });

const page = pageSchema(containerSchema);

const listSchema = {
  summary: 'Lists the containers of a namespace, of all nodes or of one',
  operationId: 'listContainers',
  querystring: fields({
    namespace: namespaceQuery,
    node: { ...text, description: "A node's id; default: all nodes." },
    filter: filterQuery,
    status: {
      type: 'boolean',
      default: false,
      description:
        'Asks the nodes of these containers for the states of their tasks; `status` is null without.',
    },
    ...pageQuery,
  }),
  response: answers(
    'The containers, in byte order of their ids and then of their nodes. With a filter that indexes do not know an answer ' +
      'may have fewer than there are: `next_cursor` says.',
    object({ ...page.properties, unreachable_nodes: unreachableSchema }),
  ),
} as const;

const getSchema = {
  summary: 'Tells of one container, with its spec',
  operationId: 'getContainer',
  params: idParams,
  querystring: ofContainer,
  response: answers('The container.', wholeContainerSchema),
} as const;

const createSchema = {
  summary: 'Makes a container, which has no task yet',
  operationId: 'createContainer',
  querystring: fields({ namespace: namespaceQuery, node: { ...text, description: 'Where it is to be.' } }, [
    'node',
  ]),
  body: descriptionSchema,
  response: answersCreated('The container.', wholeContainerSchema),
} as const;

const updateSchema = {
  summary: 'Changes labels of a container',
  operationId: 'updateContainer',
  params: idParams,
  querystring: ofContainer,
  body: fields({ labels: labelChanges }, ['labels']),
  response: answers('The container, as it is now.', wholeContainerSchema),
} as const;

const deletion = object({ id: text, node: text, status: { enum: ['deleted', 'deleting'] } });
const deletionAnswers = answers('It is gone.', deletion);

const deleteSchema = {
  summary: 'Deletes a container',
  operationId: 'deleteContainer',
  params: idParams,
  querystring: ofContainer,
  response: {
    ...deletionAnswers,
    202: { description: 'Its node is away: it goes when that agrees.', ...deletion },
  },
} as const;

export function containerRoutes(app: FastifyInstance, backends: Backends): void {
  const routes = typed(app);

  /** The scope of a container, whose node need not be named. */
  async function scopeOf(request: OfContainer, reply: FastifyReply) {
    const { id } = request.params;
    const node =
      request.query.node ?? (await nodeOfContainer(backends.containers, id, callOf(request, reply, {})));
    return { id, node, call: callOf(request, reply, { node }) };
  }

  async function statusOf(
    node: string,
    id: string,
    call: ReturnType<typeof callOf>,
  ): Promise<ContainerStatus> {
    if (node === FLEET) return 'none';
    try {
      const { process } = await (await backends.agent(node)).client(Tasks).get({ containerId: id }, call);
      return process ? STATUSES[process.status] : 'none';
    } catch (error) {
      if (isKind(error, 'NotFound')) return 'none';
      if (isKind(error, 'Unavailable', 'DeadlineExceeded')) return 'unknown';
      throw error;
    }
  }

  routes.get('/containers', { schema: listSchema, config: inNamespace('read') }, async (request, reply) => {
    const { node, filter: filters = [], status: withStatus, limit, cursor } = request.query;
    const query = { node, filters, withStatus, limit, ...(cursor !== undefined && { cursor }) };
    return listContainers(backends, openCallOf(request, reply, {}), query);
  });

  routes.get(
    '/containers/:id',
    { schema: getSchema, config: inNamespace('read') },
    async (request, reply) => {
      const { id, node, call } = await scopeOf(request, reply);
      // The records are whole whether its node can be reached or not.
      const [{ container }, status] = await Promise.all([
        backends.containerRecords.get({ id }, call),
        statusOf(node, id, call),
      ]);
      return answer(reply, container, node, status);
    },
  );

  routes.post(
    '/containers',
    { schema: createSchema, config: creating(inNamespace('write')) },
    async (request, reply) => {
      const { node } = request.query;
      const call = callOf(request, reply, { node });
      const id = request.body.id ?? repeatableName(request);
      const wanted = { ...request.body, ...(id !== undefined && { id }) };
      const made = await createContainer(backends, call, node, wanted, (container) =>
        request.requireHost(container),
      );
      reply.code(201).header('location', `/v1/containers/${encodeURIComponent(made.id)}`);
      return answer(reply, made, node, 'none');
    },
  );

  routes.patch(
    '/containers/:id',
    { schema: updateSchema, config: versioned(inNamespace('write')) },
    async (request, reply) => {
      const { id, node, call } = await scopeOf(request, reply);
      const { labels, paths } = labelUpdate(request.body.labels);
      await request.requireHost({ labels });
      const { containers } = await backends.in(node);
      const wanted = { container: { id, labels }, updateMask: { paths } };
      const { container } =
        paths.length > 0
          ? await containers.update(wanted, ifMatch(request, call))
          : await containers.get({ id }, call);
      return answer(reply, container, node, await statusOf(node, id, call));
    },
  );

  routes.delete(
    '/containers/:id',
    { schema: deleteSchema, config: versioned(inNamespace('write')) },
    async (request, reply) => {
      const { id, node } = await scopeOf(request, reply);
      const scope = ifMatch(request, openCallOf(request, reply, { node }));
      const status = await backends.deletion.delete(node, id, scope);
      return reply.code(status === 'deleting' ? 202 : 200).send({ id, node, status });
    },
  );
}

type OfContainer = FastifyRequest & { params: { id: string }; query: { node?: string } };

function answer(
  reply: FastifyReply,
  container: Container | undefined,
  node: string,
  status: ContainerStatus,
) {
  if (!container) throw internal('container: none was answered');
  tagReply(reply, container);
  return wholeContainerToJson(container, node, status);
}
