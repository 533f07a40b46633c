import type { MessageInitShape } from '@bufbuild/protobuf';
import type { AttachRequestSchema } from '@longshore/proto/longshore/node/v1/stdio';
import type { FastifyInstance } from 'fastify';
import type { Backends } from '../backends.ts';
import type { ScopeQuery } from '../request-call.ts';
import { inNamespace } from '../route-rule.ts';
import { exitToJson } from '../tasks/exit-json.ts';
import { requireLog } from '../tasks/kept-log.ts';
import { containerQuery, ofContainer } from '../tasks/task-schemas.ts';
import { type OfContainer, type TaskTarget, taskTarget } from '../tasks/task-target.ts';
import { processInput } from './process-input.ts';
import type { ProcessSocket } from './process-socket.ts';
import { addSocketRoute, sendOutput } from './socket-route.ts';
import { answersSocket } from './socket-schemas.ts';

interface Attachment {
  target: TaskTarget;
  terminal: boolean;
  stdin: boolean;
  logs: boolean;
}

const schema = {
  ...ofContainer('attachToContainerBySocket', "A task's output from now on, and its input", {
    response: answersSocket,
  }),
  querystring: {
    type: 'object',
    properties: {
      ...containerQuery,
      stdin: { type: 'boolean', default: false, description: 'To write its standard input.' },
      logs: { type: 'boolean', default: false, description: 'What was written before comes first.' },
    },
  },
};

/** A task whose output is kept, until it ends or the client leaves, of which it does not notice. */
export function attachSocket(app: FastifyInstance, backends: Backends): void {
  addSocketRoute<OfContainer & { Querystring: ScopeQuery & Partial<Attachment> }, Attachment>(app, {
    url: '/containers/:id/attach',
    schema,
    config: inNamespace('write'),
    async prepare(request, reply) {
      const { stdin = false, logs = false } = request.query;
      const target = await taskTarget(backends, request, reply);
      if (stdin) await request.requireEntry(target);
      const { process } = await target.tasks.get({ containerId: target.id }, target.call);
      await requireLog(target);
      return { target, terminal: process!.terminal, stdin, logs };
    },
    talk: attach,
  });
}

async function attach(socket: ProcessSocket, attachment: Attachment): Promise<void> {
  const { target, terminal } = attachment;
  const options = { headers: target.call.headers, signal: socket.gone };
  await socket.tell({ type: 'started', node: target.node, terminal });
  for await (const { message } of target.stdio.attach(requests(socket, attachment), options)) {
    if (message.case === 'output') await sendOutput(socket, message.value);
    if (message.case === 'exit') {
      await socket.tell({
        type: 'exit',
        ...exitToJson({ ...message.value, exitStatus: message.value.status }),
      });
    }
  }
}

async function* requests(
  socket: ProcessSocket,
  { target, stdin, logs }: Attachment,
): AsyncGenerator<MessageInitShape<typeof AttachRequestSchema>> {
  yield { message: { case: 'start', value: { containerId: target.id, stdin, logs } } };
  for await (const message of processInput(socket, stdin)) yield { message };
}
