import type { Logger } from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  fastify,
  LogController,
} from 'fastify';
import type { AccessAdmin } from '../access/access-admin.ts';
import type { AccessControl } from '../access/access-control.ts';
import type { EntryGuard } from '../access/host/entry-guard.ts';
import type { StreamJudge } from '../access/stream-judge.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import { auditRequests } from '../audit/http-hooks.ts';
import { type HttpLimits, limitedServer, limitRequests } from '../limits/http-limits.ts';
import { refuseForeignPages } from '../limits/origins.ts';
import { requestIdOf } from '../request-id.ts';
import type { AuditRepository } from '../storage/postgres/audit-repository.ts';
import type { IdempotencyRepository } from '../storage/postgres/idempotency-repository.ts';
import { requireAccess } from './authentication.ts';
import type { Backends } from './backends.ts';
import type { ClientCertificates } from './client-certificates.ts';
import type { HttpTls } from './http-server.ts';
import { keepAnswers } from './idempotency.ts';
import { PROBLEM_MEDIA_TYPE, problemOf } from './problem.ts';
import { accessRoutes } from './routes/access.ts';
import { auditRoutes } from './routes/audit.ts';
import { certificateRoutes } from './routes/certificates.ts';
import { collectionRoutes } from './routes/collections.ts';
import { containerRoutes } from './routes/containers.ts';
import { contentRoutes } from './routes/content.ts';
import { documentRoutes } from './routes/document.ts';
import { type HealthSource, healthRoutes } from './routes/health.ts';
import { imagePullRoute } from './routes/image-pull.ts';
import { imageRoutes } from './routes/images.ts';
import { joinTokenRoutes } from './routes/join-tokens.ts';
import { leaseRoutes } from './routes/leases.ts';
import { namespaceRoutes } from './routes/namespaces.ts';
import { nodeRoutes } from './routes/nodes.ts';
import { quotaRoutes } from './routes/quotas.ts';
import { snapshotRoutes } from './routes/snapshots.ts';
import { versionRoutes } from './routes/version.ts';
import { runRoute } from './run/run-route.ts';
import { judgeRequests } from './standing-requests.ts';
import { attachSocket } from './streams/attach-socket.ts';
import { eventRoutes } from './streams/event-routes.ts';
import { execSocket } from './streams/exec-socket.ts';
import { endStreamsAtClose } from './streams/open-streams.ts';
import { takeSocketToken } from './streams/socket-requests.ts';
import { acceptSockets } from './streams/socket-route.ts';
import { watchRoutes } from './streams/watch-routes.ts';
import { execRoute } from './tasks/exec-route.ts';
import { logRoutes } from './tasks/log-routes.ts';
import { statsRoutes } from './tasks/stats-routes.ts';
import { taskRoutes } from './tasks/task-routes.ts';
import { refuseUnknownRoutes } from './unknown-routes.ts';
import { closeSchema, validateStrictly } from './validation.ts';

/** Of what is away for a moment, as a replica that restarts is. */
const RETRY_AFTER_SECONDS = 1;
/** Names of images may be long. */
const MAX_PARAM_LENGTH = 1024;

export interface HttpAppOptions extends HealthSource {
  backends: Backends;
  access: Pick<AccessControl, 'authenticate' | 'authorize' | 'authorizeHost'>;
  accessAdmin: AccessAdmin;
  auditRecords: Pick<AuditRepository, 'list'>;
  judge: Pick<StreamJudge, 'watch'>;
  entries: Pick<EntryGuard, 'authorize'>;
  audit: AuditLog;
  limits: HttpLimits;
  /** To requests that may be repeated. */
  answers: IdempotencyRepository;
  /** PEM; undefined answers without TLS. */
  tls: HttpTls | undefined;
  /** Who shows which certificate. */
  certificates: Pick<ClientCertificates, 'peerOn'>;
  log: Logger;
}

/** The HTTP/JSON API. Its routes are for whom their rules say. */
export async function createHttpApp(options: HttpAppOptions): Promise<FastifyInstance> {
  const { access, audit, certificates, limits, log } = options;
  const app: FastifyInstance = fastify({
    loggerInstance: log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    genReqId: (request) => requestIdOf(request.headers[Header.RequestId]),
    // Before there is a route, nor anyone known.
    frameworkErrors: (error, request, reply: FastifyReply) => {
      const problem = problemOf(withoutUrl(error), request.id);
      return reply.code(problem.status).type(PROBLEM_MEDIA_TYPE).send(JSON.stringify(problem));
    },
    ...limitedServer(limits, options.tls),
  });
  validateStrictly(app);
  endStreamsAtClose(app);
  await acceptSockets(app);
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error, request.id);
    if (problem.status >= 500) request.log.error({ err: error }, 'request failed');
    if (problem.status === 503 && !reply.hasHeader('retry-after'))
      reply.header('retry-after', RETRY_AFTER_SECONDS);
    return reply.code(problem.status).type(PROBLEM_MEDIA_TYPE).send(problem);
  });
  refuseForeignPages(app, limits.origins);
  app.addHook('onRequest', takeSocketToken);
  requireAccess(app, access, { certificates, entries: options.entries });
  limitRequests(app, limits);
  judgeRequests(app, options.judge, { audit, certificates });
  auditRequests(app, audit);
  const refuseUnknown = refuseUnknownRoutes(app);
  app.setNotFoundHandler(refuseUnknown);

  const routes = (v1: FastifyInstance) => addRoutes(v1, options);
  healthRoutes(app, options);
  documentRoutes(app, routes, '/v1');
  await app.register(
    async (v1) => {
      v1.addHook('onRoute', closeSchema);
      keepAnswers(v1, options.answers);
      v1.setNotFoundHandler(refuseUnknown);
      routes(v1);
    },
    { prefix: '/v1' },
  );
  return app;
}

function addRoutes(v1: FastifyInstance, { backends, accessAdmin, auditRecords }: HttpAppOptions): void {
  accessRoutes(v1, accessAdmin);
  auditRoutes(v1, auditRecords);
  nodeRoutes(v1, backends);
  namespaceRoutes(v1, backends);
  leaseRoutes(v1, backends);
  collectionRoutes(v1, backends);
  quotaRoutes(v1, backends);
  joinTokenRoutes(v1, backends);
  certificateRoutes(v1, backends);
  imageRoutes(v1, backends);
  imagePullRoute(v1, backends);
  contentRoutes(v1, backends);
  snapshotRoutes(v1, backends);
  containerRoutes(v1, backends);
  taskRoutes(v1, backends);
  logRoutes(v1, backends);
  statsRoutes(v1, backends);
  execSocket(v1, backends);
  attachSocket(v1, backends);
  execRoute(v1, backends);
  eventRoutes(v1, backends);
  watchRoutes(v1, backends);
  runRoute(v1, backends);
  versionRoutes(v1);
}

/** Its words repeat what was sent, however long. */
function withoutUrl(error: FastifyError): Error {
  const message =
    error.code === 'FST_ERR_BAD_URL'
      ? 'path: is not percent-encoded UTF-8'
      : 'path: a part of it is too long';
  return Object.assign(new Error(message), { statusCode: error.statusCode });
}
