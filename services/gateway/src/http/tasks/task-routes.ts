import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { Process } from '@longshore/proto/containerd/v1/types/task';
import type { CallOptions } from '@longshore/rpc';
import type { FastifyInstance } from 'fastify';
import type { FromNode } from '../../fleet/fan-out.ts';
import type { Backends } from '../backends.ts';
import { forPage, type PageQuery, pageOf, pageQuery } from '../page.ts';
import { openCallOf, type RequestCall, type ScopeQuery } from '../request-call.ts';
import { creating, inNamespace } from '../route-rule.ts';
import {
  answers,
  answersNothing,
  namespaceQuery,
  object,
  pageSchema,
  text,
  unreachableSchema,
} from '../schemas.ts';
import { exitToJson } from './exit-json.ts';
import { signalOf } from './signal.ts';
import { taskToJson } from './task-json.ts';
import {
  answersTask,
  exitSchema,
  ofContainer,
  optionalBody,
  signalSchema,
  taskSchema,
} from './task-schemas.ts';
import { type OfContainer, type TaskTarget, taskTarget } from './task-target.ts';

const DEFAULT_GRACE_SECONDS = 10;
const MAX_GRACE_SECONDS = 86_400;
const SIGKILL = 9;

interface Creation {
  terminal?: boolean;
  stdin?: boolean;
  start?: boolean;
}

interface Stop {
  signal?: string;
  grace_seconds?: number;
  delete?: boolean;
}

interface Kill {
  signal?: string;
  all?: boolean;
  exec_id?: string;
}

const listSchema = {
  summary: 'Lists the tasks of a namespace, of all nodes or of one',
  operationId: 'listTasks',
  querystring: {
    type: 'object',
    properties: {
      namespace: namespaceQuery,
      node: { ...text, description: "A node's id; default: all nodes." },
      ...pageQuery,
    },
  },
  response: answers(
    'The tasks, in byte order of their ids and then of their nodes.',
    object({ ...pageSchema(taskSchema).properties, unreachable_nodes: unreachableSchema }),
  ),
};

const createSchema = ofContainer(
  'createTask',
  "Makes a container's task, whose output its node keeps, and starts it",
  {
    body: optionalBody({
      terminal: { type: 'boolean', default: false, description: "As the container's spec has it." },
      stdin: { type: 'boolean', default: false, description: 'Opens a standard input, for attach to write.' },
      start: { type: 'boolean', default: true },
    }),
    response: answersTask,
  },
);

const stopSchema = ofContainer(
  'stopTask',
  'Ends a task in order: the signal, after the grace time SIGKILL; ends restarts first, and answers when it has ended',
  {
    body: optionalBody({
      signal: { ...signalSchema, description: "Default: the container's own, else SIGTERM." },
      grace_seconds: {
        type: 'number',
        minimum: 0,
        maximum: MAX_GRACE_SECONDS,
        default: DEFAULT_GRACE_SECONDS,
      },
      delete: { type: 'boolean', default: false, description: 'Deletes the task when it has ended.' },
    }),
    response: answers(
      'How it ended.',
      object({
        ...exitSchema.properties,
        killed: { type: 'boolean', description: 'It did not end by the signal.' },
      }),
    ),
  },
);

const killSchema = ofContainer(
  'killTask',
  'Sends a signal to a task, or to one process that was added to it',
  {
    body: optionalBody({
      signal: { ...signalSchema, default: 'SIGTERM' },
      all: { type: 'boolean', default: false, description: 'To every process of the task.' },
      exec_id: { ...text, description: 'Of a process that exec has added.' },
    }),
    response: answersNothing,
  },
);

const pidsSchema = ofContainer('listTaskPids', 'Lists the processes of a task, as its node sees them', {
  response: answers('The processes.', object({ pids: { type: 'array', items: { type: 'integer' } } })),
});

/** What is done with tasks; their output, and what they use, have files of their own. */
export function taskRoutes(app: FastifyInstance, backends: Backends): void {
  const read = inNamespace('read');
  const write = inNamespace('write');

  app.get<{ Querystring: ScopeQuery & PageQuery }>(
    '/tasks',
    { schema: listSchema, config: read },
    async (request, reply) => {
      const { node } = request.query;
      const call = forPage(openCallOf(request, reply, {}), request.query, 2);
      if (node !== undefined) await backends.requireNode(node);
      const answer = backends.lists.tasks(call, '', node);
      const keyOf = ({ item, node }: FromNode<Process>) => [item.containerId || item.id, node];
      const page = await pageOf(answer, keyOf, request.query, 2);
      const items = page.items.map(({ item, node }) => taskToJson(item, node));
      return { ...page, items, unreachable_nodes: answer.unreachable() };
    },
  );

  app.post<OfContainer & { Body: Creation | null }>(
    '/containers/:id/task',
    { schema: createSchema, config: creating(write) },
    async (request, reply) => {
      const { terminal = false, stdin = false, start = true } = request.body ?? {};
      const target = await taskTarget(backends, request, reply);
      const { id: containerId, call, stdio, tasks } = target;
      await request.requireEntry(target);
      await stdio.create({ containerId, terminal, stdin }, call);
      if (start) await startOrUndo(target);
      const { process } = await tasks.get({ containerId }, call);
      return taskToJson(process!, target.node);
    },
  );

  app.get<OfContainer>(
    '/containers/:id/task',
    { schema: ofContainer('getTask', 'Tells of a task', { response: answersTask }), config: read },
    async (request, reply) => {
      const target = await taskTarget(backends, request, reply);
      return taskOf(target);
    },
  );

  app.delete<OfContainer & { Querystring: ScopeQuery & { force?: boolean } }>(
    '/containers/:id/task',
    {
      schema: deleteSchema,
      config: write,
    },
    async (request, reply) => {
      const { id: containerId, call, tasks, control } = await taskTarget(backends, request, reply);
      if (!request.query.force) return exitToJson(await tasks.delete({ containerId }, call));
      return exitToJson(
        await control.stop({ containerId, signal: SIGKILL, delete: true }, unsignalled(call)),
      );
    },
  );

  app.post<OfContainer>(
    '/containers/:id/task/start',
    {
      schema: ofContainer('startTask', 'Starts a task that was made', { response: answersTask }),
      config: write,
    },
    async (request, reply) => {
      const target = await taskTarget(backends, request, reply);
      await target.tasks.start({ containerId: target.id }, target.call);
      return taskOf(target);
    },
  );

  app.get<OfContainer>(
    '/containers/:id/task/wait',
    {
      schema: ofContainer('waitForTask', 'Answers when a task has ended', {
        response: answers('How it ended.', exitSchema),
      }),
      config: read,
    },
    async (request, reply) => {
      const { id: containerId, call, tasks } = await taskTarget(backends, request, reply);
      return exitToJson(await tasks.wait({ containerId }, call));
    },
  );

  app.post<OfContainer & { Body: Stop | null }>(
    '/containers/:id/task/stop',
    { schema: stopSchema, config: write },
    async (request, reply) => {
      const {
        signal,
        grace_seconds: grace = DEFAULT_GRACE_SECONDS,
        delete: deletes = false,
      } = request.body ?? {};
      const wanted = { signal: signalOf(signal) ?? 0, grace: durationFromMs(grace * 1000), delete: deletes };
      const { id: containerId, call, control } = await taskTarget(backends, request, reply);
      const stopped = await control.stop({ containerId, ...wanted }, unsignalled(call));
      return { ...exitToJson(stopped), killed: stopped.killed };
    },
  );

  app.post<OfContainer & { Body: Kill | null }>(
    '/containers/:id/task/kill',
    { schema: killSchema, config: write },
    async (request, reply) => {
      const { signal = 'SIGKILL', all = false, exec_id: execId = '' } = request.body ?? {};
      const wanted = { signal: signalOf(signal)!, all, execId };
      const { id: containerId, call, tasks } = await taskTarget(backends, request, reply);
      await tasks.kill({ containerId, ...wanted }, call);
      return reply.code(204).send();
    },
  );

  for (const [verb, summary] of [
    ['pause', 'Freezes all processes of a task'],
    ['resume', 'Lets a paused task go on'],
  ] as const) {
    app.post<OfContainer>(
      `/containers/:id/task/${verb}`,
      { schema: ofContainer(`${verb}Task`, summary, { response: answersNothing }), config: write },
      async (request, reply) => {
        const { id: containerId, call, tasks } = await taskTarget(backends, request, reply);
        await tasks[verb]({ containerId }, call);
        return reply.code(204).send();
      },
    );
  }

  app.get<OfContainer>(
    '/containers/:id/task/pids',
    { schema: pidsSchema, config: read },
    async (request, reply) => {
      const { id: containerId, call, tasks } = await taskTarget(backends, request, reply);
      const { processes } = await tasks.listPids({ containerId }, call);
      return { pids: processes.map(({ pid }) => pid) };
    },
  );
}

const deleteSchema = {
  ...ofContainer(
    'deleteTask',
    'Deletes a task that has ended, and tells how; its log stays with the container',
    {
      response: answers('How it ended.', exitSchema),
    },
  ),
  querystring: {
    type: 'object',
    properties: {
      ...ofContainer('', '', {}).querystring.properties,
      force: { type: 'boolean', default: false, description: 'Ends it first, by SIGKILL.' },
    },
  },
};

async function taskOf({ id: containerId, node, call, tasks }: TaskTarget) {
  const { process } = await tasks.get({ containerId }, call);
  return taskToJson(process!, node);
}

/** A task that cannot be started is of no use to anyone, and in the way of the next one. */
async function startOrUndo({ id: containerId, call, tasks, control }: TaskTarget): Promise<void> {
  try {
    await tasks.start({ containerId }, call);
  } catch (error) {
    await control
      .stop({ containerId, signal: SIGKILL, delete: true }, unsignalled(call))
      .catch(() => undefined);
    throw error;
  }
}

/** For what is done to its end though its caller leaves: a task that was asked to stop is not left to ignore it. */
function unsignalled({ headers }: RequestCall): CallOptions {
  return { headers };
}
