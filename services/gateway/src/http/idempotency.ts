import { createHash } from 'node:crypto';
import { LongshoreError, messageOf } from '@longshore/errors';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { IdempotencyRepository, KeptAnswer } from '../storage/postgres/idempotency-repository.ts';
import { InvalidRequest } from './validation.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Of a request that its caller may repeat, and that is done for the first time. */
    repeatable: { claim: string; hash: Buffer } | undefined;
    /** What a repetition was answered the first time, for a route that goes on. */
    repeated: KeptAnswer | undefined;
    /** Has the route see by itself to what a repetition is told; undefined for a request that is not repeatable. */
    takeClaim(): RepeatableWork | undefined;
  }
}

const HEADER = 'idempotency-key';
const USABLE = /^[!-~]{1,255}$/;

/** What of an answer's headers says something to its caller. */
const KEPT_HEADERS = ['content-type', 'location', 'etag'] as const;

/** Well before a claim runs out. */
const RENEW_EVERY_MS = 30_000;

/** Creations answer with short documents; a longer one is not kept, and its request not repeatable. */
const MAX_KEPT_BYTES = 1024 * 1024;

/** A request that its caller may repeat, while it is worked on; until then its repetitions are refused. */
export interface RepeatableWork {
  /** Tells repetitions this from now on, before what must not be done twice is done. Throws Conflict when another has the request by now. */
  keep(answer: KeptAnswer): Promise<void>;
  /** Nothing has come of it: repeated, it is done anew. */
  forget(): Promise<void>;
}

/**
 * Has what makes something be repeatable: with the same `Idempotency-Key` its caller is answered as the first time, for a day. While
 * the first one is under way the answer is 409, and 422 when the key was another request's. Only what made something is kept.
 */
export function keepAnswers(
  app: FastifyInstance,
  answers: Pick<IdempotencyRepository, 'claim' | 'renew' | 'keep' | 'release' | 'forget'>,
): void {
  app.decorateRequest('repeatable', undefined);
  app.decorateRequest('repeated', undefined);
  app.decorateRequest('takeClaim', function (this: FastifyRequest) {
    const { repeatable } = this;
    if (repeatable === undefined) return undefined;
    this.repeatable = undefined;
    const { claim } = repeatable;
    const renewing = setInterval(() => {
      answers
        .renew(claim)
        .catch((error) => this.log.warn({ error: messageOf(error) }, 'claim is not renewed'));
    }, RENEW_EVERY_MS).unref();
    return {
      async keep(answer) {
        clearInterval(renewing);
        if (await answers.keep(claim, answer)) return;
        throw new LongshoreError('Conflict', `request with ${HEADER}: another works on it`);
      },
      async forget() {
        clearInterval(renewing);
        await answers.forget(claim);
      },
    };
  });

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
        if (!request.routeOptions.config.goesOn) return replay(reply, claimed.answer);
        request.repeated = claimed.answer;
        return;
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
  // What may be guessed is not to be found out by this.
  const { password: _, ...said } = Object(body) as { password?: unknown };
  const request = JSON.stringify([caller.name, headers[HEADER], method, url, body ? said : null]);
  return createHash('sha256').update(request).digest();
}

function answerOf(reply: FastifyReply, body: string): KeptAnswer {
  const headers = KEPT_HEADERS.flatMap((name) => {
    const value = reply.getHeader(name);
    return value === undefined ? [] : [[name, String(value)]];
  });
  return { status: reply.statusCode, headers: Object.fromEntries(headers), body };
}

export function replay(reply: FastifyReply, { status, headers, body }: KeptAnswer): FastifyReply {
  return markReplayed(reply).code(status).headers(headers).serializer(String).send(body);
}

/** Tells the caller that nothing was made for this request. */
export function markReplayed(reply: FastifyReply): FastifyReply {
  return reply.header('idempotency-replayed', 'true');
}
