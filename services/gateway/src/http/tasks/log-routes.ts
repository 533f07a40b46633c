import { Readable } from 'node:stream';
import type { LogsRequest, Output } from '@longshore/proto/longshore/node/v1/stdio';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Backends } from '../backends.ts';
import type { ScopeQuery } from '../request-call.ts';
import { inNamespace } from '../route-rule.ts';
import { answers, text } from '../schemas.ts';
import { OPENED, type ServerSentEvent, sendEvents } from '../server-sent-events.ts';
import { endAtClose } from '../streams/open-streams.ts';
import { requireLog } from './kept-log.ts';
import { LogPosition } from './log-position.ts';
import { LineStamper, OutputDecoder } from './output-text.ts';
import { pointInTime } from './point-in-time.ts';
import { containerQuery, ofContainer } from './task-schemas.ts';
import { type OfContainer, type TaskTarget, taskTarget } from './task-target.ts';

interface LogQuery {
  follow?: boolean;
  since?: string;
  until?: string;
  tail?: number;
  stdout?: boolean;
  stderr?: boolean;
  timestamps?: boolean;
  format?: 'text' | 'ndjson' | 'events';
}

const pointSchema = {
  ...text,
  description: 'RFC 3339, seconds since 1970, or an age such as `10m`.',
} as const;

const schema = {
  ...ofContainer('getContainerLog', 'What the processes of a container have written, over all of its tasks', {
    response: {
      ...answers('The log.', {
        content: {
          'text/plain': { schema: { ...text, description: 'The bytes as they were written.' } },
          'application/x-ndjson': { schema: text },
          'text/event-stream': { schema: text },
        },
      }),
    },
  }),
  querystring: {
    type: 'object',
    properties: {
      ...containerQuery,
      follow: { type: 'boolean', default: false, description: 'Goes on until the task has ended.' },
      since: pointSchema,
      until: pointSchema,
      tail: { type: 'integer', minimum: 0, description: 'Begins so many lines before the end.' },
      stdout: { type: 'boolean', description: 'With neither this nor `stderr`: both.' },
      stderr: { type: 'boolean' },
      timestamps: { type: 'boolean', default: false, description: 'In front of each line; `text` only.' },
      format: {
        enum: ['text', 'ndjson', 'events'],
        default: 'text',
        description:
          'The bytes alone; or JSON with `stream`, `time`, `text` and, when the reader was overtaken by rotation, ' +
          '`skipped_bytes`: one to a line, or as server-sent events `output`, and `ended`, which resume by `Last-Event-ID`.',
      },
    },
  },
};

export function logRoutes(app: FastifyInstance, backends: Backends): void {
  app.get<OfContainer & { Querystring: ScopeQuery & LogQuery }>(
    '/containers/:id/logs',
    { schema, config: inNamespace('read') },
    async (request, reply) => {
      const { follow = false, since, until, tail, stdout = false, stderr = false, ...rest } = request.query;
      const { timestamps = false, format = 'text' } = rest;
      const wanted: LogWish = {
        follow,
        stdout,
        stderr,
        ...(since !== undefined && { since: pointInTime(since, 'since') }),
        ...(until !== undefined && { until: pointInTime(until, 'until') }),
        ...(tail !== undefined && { tail: BigInt(tail) }),
      };
      const lastId = request.headers['last-event-id'];
      const position = typeof lastId === 'string' && lastId ? LogPosition.after(lastId) : undefined;
      const target = await taskTarget(backends, request, reply);
      await requireLog(target);
      switch (format) {
        case 'events':
          return sendEvents(reply, request.id, logEvents(target, wanted, position));
        case 'ndjson':
          return send(reply, 'application/x-ndjson', jsonLines(target, wanted));
        case 'text':
          return send(reply, 'text/plain; charset=utf-8', bytes(target, wanted, timestamps));
      }
    },
  );
}

type LogWish = Pick<LogsRequest, 'follow' | 'stdout' | 'stderr'> & Partial<LogsRequest>;

async function* outputs({ id: containerId, call, stdio }: TaskTarget, wanted: LogWish) {
  for await (const { outputs } of stdio.logs({ ...wanted, containerId }, call)) yield* outputs;
}

async function* bytes(target: TaskTarget, wanted: LogWish, timestamps: boolean): AsyncGenerator<Uint8Array> {
  // Has the head of the answer sent.
  yield Buffer.alloc(0);
  const stamper = new LineStamper();
  for await (const output of outputs(target, wanted)) yield timestamps ? stamper.stamp(output) : output.data;
}

async function* jsonLines(target: TaskTarget, wanted: LogWish): AsyncGenerator<string> {
  yield '';
  const decoder = new OutputDecoder();
  for await (const output of outputs(target, wanted)) yield `${JSON.stringify(decoder.toJson(output))}\n`;
}

async function* logEvents(
  target: TaskTarget,
  wanted: LogWish,
  resumed: LogPosition | undefined,
): AsyncGenerator<ServerSentEvent | typeof OPENED> {
  yield OPENED;
  const { tail: _, ...rest } = wanted;
  const { id: containerId, call, stdio } = target;
  const position = resumed ?? LogPosition.start();
  const decoder = new OutputDecoder();
  const request = resumed ? { ...rest, since: resumed.since } : wanted;
  for await (const { outputs, ended } of stdio.logs({ ...request, containerId }, call)) {
    for (const output of outputs) {
      const left: Output | undefined = position.advance(output);
      if (left) yield { event: 'output', data: decoder.toJson(left), id: position.id };
    }
    if (ended) yield { event: 'ended', data: {} };
  }
}

/** At the speed of its reader, whose going away ends the source. Browsers are not to take it for anything else. */
function send(reply: FastifyReply, type: string, source: AsyncGenerator<Uint8Array | string>): FastifyReply {
  const body = Readable.from(source);
  endAtClose(reply, body);
  return reply
    .type(type)
    .header('cache-control', 'no-store')
    .header('x-content-type-options', 'nosniff')
    .send(body);
}
