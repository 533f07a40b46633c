import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { StdioService } from '@longshore/proto/longshore/node/v1/stdio';
import { TaskService } from '@longshore/proto/longshore/node/v1/tasks';
import type { ServiceClient } from '@longshore/rpc';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { nodeOfContainer } from '../../nodes/container-finder.ts';
import type { Backends } from '../backends.ts';
import { callOf, openCallOf, type RequestCall, type ScopeQuery } from '../request-call.ts';

/** A route of one container. */
export interface OfContainer {
  Params: { id: string };
  Querystring: ScopeQuery;
}

/** A container that a request names, and the agent of its node. */
export interface TaskTarget {
  id: string;
  node: string;
  /** Has no deadline: what is asked of a task may take as long as the task. */
  call: RequestCall;
  tasks: ServiceClient<typeof Tasks>;
  control: ServiceClient<typeof TaskService>;
  stdio: ServiceClient<typeof StdioService>;
}

/**
 * The container of a request's path, on the node of its query or, without one, on the node that has it. Throws NotFound,
 * InvalidArgument when several nodes have one of this id, Unavailable for a node that is away.
 */
export async function taskTarget(
  backends: Backends,
  request: FastifyRequest<OfContainer>,
  reply: FastifyReply,
): Promise<TaskTarget> {
  const { id } = request.params;
  const node =
    request.query.node ?? (await nodeOfContainer(backends.containers, id, callOf(request, reply, {})));
  const agent = await backends.agent(node);
  return {
    id,
    node,
    call: openCallOf(request, reply, { node }),
    tasks: agent.client(Tasks),
    control: agent.client(TaskService),
    stdio: agent.client(StdioService),
  };
}
