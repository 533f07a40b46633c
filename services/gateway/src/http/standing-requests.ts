import type { FastifyInstance } from 'fastify';
import type { StreamJudge } from '../access/stream-judge.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import { placeOf } from '../audit/http-hooks.ts';
import type { ClientCertificates } from './client-certificates.ts';
import { namespaceOf } from './route-rule.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Aborts, with the error, when the caller may not make this request any more; undefined for who always may. */
    stopped: AbortSignal | undefined;
  }
}

/** In which a caller that is told why its answer ends can take that. */
const LAST_WORDS_MS = 1_000;

/**
 * Ends requests that last longer than their callers' right to them: with a problem where one can still be told, else by
 * cutting the answer. To be called after the hooks that say who asks and whether they may.
 */
export function judgeRequests(
  app: FastifyInstance,
  judge: Pick<StreamJudge, 'watch'>,
  { audit, certificates }: { audit: AuditLog; certificates: Pick<ClientCertificates, 'peerOn'> },
): void {
  app.decorateRequest('stopped', undefined);
  app.addHook('preHandler', async (request, reply) => {
    const { caller, headers, raw } = request;
    const { rule } = request.routeOptions.config;
    if (request.is404 || !rule || caller.kind === 'local' || caller.kind === 'anonymous') return;
    const stop = new AbortController();
    request.stopped = stop.signal;
    const end = (error: unknown) => {
      audit.refused({ ...placeOf(request), error });
      request.isKept = true;
      if (!reply.sent && !reply.raw.headersSent) reply.send(error);
      else request.failure ??= error;
      stop.abort(error);
      setTimeout(() => {
        if (!reply.raw.closed) reply.raw.destroy();
      }, LAST_WORDS_MS).unref();
    };
    const forget = judge.watch({
      caller,
      rule,
      namespace: rule.on === 'namespace' ? namespaceOf(request) : '',
      authorization: headers.authorization,
      peer: () => certificates.peerOn(raw.socket),
      end,
    });
    reply.raw.once('close', forget);
  });
}
