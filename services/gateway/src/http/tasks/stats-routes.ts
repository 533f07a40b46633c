import { setTimeout as delay } from 'node:timers/promises';
import { isKind } from '@longshore/errors';
import type { FastifyInstance } from 'fastify';
import type { Backends } from '../backends.ts';
import type { ScopeQuery } from '../request-call.ts';
import { inNamespace } from '../route-rule.ts';
import { answers, object, text, time } from '../schemas.ts';
import { type ServerSentEvent, sendEvents } from '../server-sent-events.ts';
import { type Sample, sample, sampleToJson } from './stats.ts';
import { containerQuery, ofContainer } from './task-schemas.ts';
import { type OfContainer, type TaskTarget, taskTarget } from './task-target.ts';

const DEFAULT_INTERVAL_SECONDS = 2;
const MAX_INTERVAL_SECONDS = 3_600;

const count = { type: 'integer' } as const;
const counts = <K extends string>(...names: K[]) => Object.fromEntries(names.map((name) => [name, count]));
const limit = { type: ['integer', 'null'], description: 'null: none.' } as const;

const statsSchema = object({
  time,
  cpu: object({
    ...counts('usage_ns', 'user_ns', 'system_ns', 'periods', 'throttled_periods', 'throttled_ns'),
    percent: {
      type: ['number', 'null'],
      description: 'Of one CPU, since the sample before; null in the first.',
    },
  }),
  memory: object({
    ...counts('usage_bytes', 'working_set_bytes', 'max_usage_bytes', 'swap_usage_bytes', 'oom_kills'),
    limit_bytes: limit,
    swap_limit_bytes: limit,
  }),
  pids: object({ current: count, limit }),
  io: object(counts('read_bytes', 'write_bytes', 'reads', 'writes')),
});

const onceSchema = ofContainer('getTaskStats', 'What a task uses', {
  response: answers('By its control group, since the task was made.', statsSchema),
});

const streamSchema = {
  ...ofContainer('watchTaskStats', 'What a task uses, again and again until it has ended', {
    response: answers('Events `stats`, and at the end `ended`, or `problem`.', {
      content: { 'text/event-stream': { schema: text } },
    }),
  }),
  querystring: {
    type: 'object',
    properties: {
      ...containerQuery,
      interval_seconds: {
        type: 'number',
        minimum: 0.1,
        maximum: MAX_INTERVAL_SECONDS,
        default: DEFAULT_INTERVAL_SECONDS,
      },
    },
  },
};

export function statsRoutes(app: FastifyInstance, backends: Backends): void {
  const config = inNamespace('read');

  app.get<OfContainer>('/containers/:id/task/stats', { schema: onceSchema, config }, async (request, reply) =>
    sampleToJson(await sample(await taskTarget(backends, request, reply))),
  );

  app.get<OfContainer & { Querystring: ScopeQuery & { interval_seconds?: number } }>(
    '/containers/:id/task/stats/stream',
    { schema: streamSchema, config },
    async (request, reply) => {
      const { interval_seconds: interval = DEFAULT_INTERVAL_SECONDS } = request.query;
      const target = await taskTarget(backends, request, reply);
      return sendEvents(reply, request.id, samples(target, interval * 1_000));
    },
  );
}

async function* samples(target: TaskTarget, intervalMs: number): AsyncGenerator<ServerSentEvent> {
  const { id: containerId, call, tasks } = target;
  const ended = tasks.wait({ containerId }, call).then(() => true);
  ended.catch(() => undefined);
  let before: Sample | undefined;
  do {
    const now = await sampleUnlessEnded(target, before !== undefined);
    if (!now) break;
    yield { event: 'stats', data: sampleToJson(now, before) };
    before = now;
  } while (!(await endedWithin(intervalMs, ended, call.signal)));
  yield { event: 'ended', data: {} };
}

async function sampleUnlessEnded(target: TaskTarget, mayHaveEnded: boolean): Promise<Sample | undefined> {
  try {
    return await sample(target);
  } catch (error) {
    if (mayHaveEnded && isKind(error, 'FailedPrecondition', 'NotFound')) return undefined;
    throw error;
  }
}

async function endedWithin(ms: number, ended: Promise<boolean>, signal: AbortSignal): Promise<boolean> {
  const over = new AbortController();
  const later = delay(ms, false, { signal: AbortSignal.any([signal, over.signal]) });
  later.catch(() => undefined);
  try {
    return await Promise.race([ended, later]);
  } finally {
    over.abort();
  }
}
