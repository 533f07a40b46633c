import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ExecRequestSchema, ExecStart } from '@longshore/proto/longshore/node/v1/stdio';
import type { FastifyInstance } from 'fastify';
import type { Backends } from '../backends.ts';
import type { ScopeQuery } from '../request-call.ts';
import { inNamespace } from '../route-rule.ts';
import { execStart, processProperties, type WantedProcess } from '../tasks/exec-request.ts';
import { exitToJson } from '../tasks/exit-json.ts';
import { containerQuery, ofContainer } from '../tasks/task-schemas.ts';
import { type OfContainer, type TaskTarget, taskTarget } from '../tasks/task-target.ts';
import { processInput } from './process-input.ts';
import type { ProcessSocket } from './process-socket.ts';
import { addSocketRoute, sendOutput } from './socket-route.ts';
import { answersSocket, extent } from './socket-schemas.ts';

interface ExecQuery extends WantedProcess {
  terminal?: boolean;
  stdin?: boolean;
  width?: number;
  height?: number;
}

const schema = {
  ...ofContainer(
    'execInContainerBySocket',
    'Runs a process in a container, with its input, output and terminal',
    {
      response: answersSocket,
    },
  ),
  querystring: {
    type: 'object',
    required: ['args'],
    properties: {
      ...containerQuery,
      ...processProperties,
      terminal: { type: 'boolean', default: false },
      stdin: { type: 'boolean', default: false, description: 'Opens a standard input.' },
      width: extent,
      height: extent,
    },
  },
};

/** A process for the time of a socket: when its client leaves it is killed. */
export function execSocket(app: FastifyInstance, backends: Backends): void {
  addSocketRoute<
    OfContainer & { Querystring: ScopeQuery & ExecQuery },
    { target: TaskTarget; start: ExecStart }
  >(app, {
    url: '/containers/:id/exec',
    schema,
    config: inNamespace('write'),
    async prepare(request, reply) {
      const { terminal = false, stdin = false, width, height, ...wanted } = request.query;
      const target = await taskTarget(backends, request, reply);
      await request.requireEntry(target);
      await target.tasks.get({ containerId: target.id }, target.call);
      const size = width && height ? { size: { width, height } } : {};
      return { target, start: execStart(target.id, wanted, { terminal, stdin, ...size }) };
    },
    talk: (socket, { target, start }) => exec(socket, target, start),
  });
}

async function exec(
  socket: ProcessSocket,
  { node, call, stdio }: TaskTarget,
  start: ExecStart,
): Promise<void> {
  const options = { headers: call.headers, signal: socket.gone };
  for await (const { message } of stdio.exec(requests(socket, start), options)) {
    switch (message.case) {
      case 'started': {
        const { execId: exec_id, pid } = message.value;
        await socket.tell({ type: 'started', node, terminal: start.terminal, exec_id, pid });
        break;
      }
      case 'output':
        await sendOutput(socket, message.value);
        break;
      case 'exit':
        await socket.tell({
          type: 'exit',
          ...exitToJson({ ...message.value, exitStatus: message.value.status }),
        });
        break;
    }
  }
}

async function* requests(
  socket: ProcessSocket,
  start: ExecStart,
): AsyncGenerator<MessageInitShape<typeof ExecRequestSchema>> {
  yield { message: { case: 'start', value: start } };
  for await (const message of processInput(socket, start.stdin)) yield { message };
}
