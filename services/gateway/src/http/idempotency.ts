import { createHash } from 'node:crypto';
import { LongshoreError, messageOf } from '@longshore/errors';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { IdempotencyRepository, KeptAnswer } from '../storage/postgres/idempotency-repository.ts';
import { InvalidRequest } from './validation.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Of a request that its caller may repeat, and that is done for the first time. */
    repeatable: { claim: string; hash: Buffer } | undefined;
  }
}

const HEADER = 'idempotency-key';
const USABLE = /^[!-~]{1,255}$/;

/** What of an answer's headers says something to its caller. */
const KEPT_HEADERS = ['content-type', 'location', 'etag'] as const;

/** Creations answer with short documents; a longer one is not kept, and its request not repeatable. */
const MAX_KEPT_BYTES = 1024 * 1024;

/**
 * Has what makes something be repeatable: with the same `Idempotency-Key` its caller is answered as the first time, for a day. While
 * the first one is under way the answer is 409, and 422 when the key was another request's. Only what made something is kept.
 */
export function keepAnswers(
  app: FastifyInstance,
  answers: Pick<IdempotencyRepository, 'claim' | 'keep' | 'release'>,
): void {
  app.decorateRequest('repeatable', undefined);

  app.addHook('preHandler', async (request, reply) => {
    const key = request.headers[HEADER];
    if (key === undefined || !request.routeOptions.config.isCreation) return;
    if (typeof key !== 'string' || !USABLE.test(key)) {
      throw new InvalidRequest([
        { in: 'header', field: HEADER, detail: 'must have 1 to 255 visible characters' },
      ]);
    }
    const hash = hashOf(request);
    const claimed = await answers.claim({ caller: request.caller.name, key, hash });
    switch (claimed.state) {
      case 'claimed':
        request.repeatable = { claim: claimed.claim, hash };
        return;
      case 'answered':
        return replay(reply, claimed.answer);
      case 'busy':
        reply.header('retry-after', '1');
        throw new LongshoreError(
          'Conflict',
          `request with ${HEADER} ${JSON.stringify(key)}: it is under way`,
        );
      case 'other':
        throw new KeyOfAnother(key);
    }
  });

  app.addHook('onSend', async (request, reply, payload) => {
    const { repeatable } = request;
    if (repeatable === undefined) return;
    request.repeatable = undefined;
    const isKept =
      reply.statusCode >= 200 &&
      reply.statusCode < 300 &&
      typeof payload === 'string' &&
      payload.length <= MAX_KEPT_BYTES;
    try {
      if (isKept) await answers.keep(repeatable.claim, answerOf(reply, payload));
      else await answers.release(repeatable.claim);
    } catch (error) {
      // It is done, whether that is remembered or not.
      request.log.warn({ error: messageOf(error) }, 'answer cannot be kept for a repetition');
    }
  });
}

/** An id for what a request makes without naming it: its repetitions mean the same. Undefined for one that is not repeatable. */
export function repeatableName(request: FastifyRequest): string | undefined {
  const hash = request.repeatable?.hash.toString('hex', 0, 8);
  return hash && `c-${hash}`;
}

/** The key was used for something else. */
class KeyOfAnother extends InvalidRequest {
  readonly statusCode = 422;

  constructor(key: string) {
    super([{ in: 'header', field: HEADER, detail: `${JSON.stringify(key)} was used for another request` }]);
  }
}

function hashOf({ caller, method, url, body, headers }: FastifyRequest): Buffer {
  const request = JSON.stringify([caller.name, headers[HEADER], method, url, body ?? null]);
  return createHash('sha256').update(request).digest();
}

function answerOf(reply: FastifyReply, body: string): KeptAnswer {
  const headers = KEPT_HEADERS.flatMap((name) => {
    const value = reply.getHeader(name);
    return value === undefined ? [] : [[name, String(value)]];
  });
  return { status: reply.statusCode, headers: Object.fromEntries(headers), body };
}

function replay(reply: FastifyReply, { status, headers, body }: KeptAnswer): FastifyReply {
  return reply
    .code(status)
    .headers(headers)
    .header('idempotency-replayed', 'true')
    .serializer(String)
    .send(body);
}
