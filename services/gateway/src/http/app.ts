import { notFound } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyRequest,
  fastify,
  LogController,
} from 'fastify';
import type { AccessAdmin } from '../access/access-admin.ts';
import type { AccessControl } from '../access/access-control.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import { auditRequests } from '../audit/http-hooks.ts';
import { requestIdOf } from '../request-id.ts';
import { requireAccess } from './authentication.ts';
import type { Backends } from './backends.ts';
import type { ClientCertificates } from './client-certificates.ts';
import { describeRoutes } from './document.ts';
import type { HttpTls } from './http-server.ts';
import { PROBLEM_MEDIA_TYPE, problemOf } from './problem.ts';
import { FOR_ANYONE } from './route-rule.ts';
import { accessRoutes } from './routes/access.ts';
import { certificateRoutes } from './routes/certificates.ts';
import { collectionRoutes } from './routes/collections.ts';
import { containerRoutes } from './routes/containers.ts';
import { imagePullRoute } from './routes/image-pull.ts';
import { imageRoutes } from './routes/images.ts';
import { joinTokenRoutes } from './routes/join-tokens.ts';
import { leaseRoutes } from './routes/leases.ts';
import { namespaceRoutes } from './routes/namespaces.ts';
import { nodeRoutes } from './routes/nodes.ts';
import { quotaRoutes } from './routes/quotas.ts';
import { versionRoutes } from './routes/version.ts';
import { runRoute } from './run/run-route.ts';
import { attachSocket } from './streams/attach-socket.ts';
import { eventRoutes } from './streams/event-routes.ts';
import { execSocket } from './streams/exec-socket.ts';
import { endStreamsAtClose } from './streams/open-streams.ts';
import { takeSocketToken } from './streams/socket-requests.ts';
import { acceptSockets } from './streams/socket-route.ts';
import { execRoute } from './tasks/exec-route.ts';
import { logRoutes } from './tasks/log-routes.ts';
import { statsRoutes } from './tasks/stats-routes.ts';
import { taskRoutes } from './tasks/task-routes.ts';
import { closeSchema, validateStrictly } from './validation.ts';

/** Names of images may be long. */
const MAX_PARAM_LENGTH = 1024;

export interface HttpAppOptions {
  backends: Backends;
  access: Pick<AccessControl, 'authenticate' | 'authorize' | 'authorizeHost'>;
  accessAdmin: AccessAdmin;
  audit: AuditLog;
  isHealthy(): boolean;
  /** PEM; undefined answers without TLS. */
  tls: HttpTls | undefined;
  /** Who shows which certificate. */
  certificates: Pick<ClientCertificates, 'peerOn'>;
  log: Logger;
}

/** The HTTP/JSON API. Its routes are for whom their rules say. */
export async function createHttpApp(options: HttpAppOptions): Promise<FastifyInstance> {
  const { access, audit, certificates, log } = options;
  const app: FastifyInstance = fastify({
    loggerInstance: log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    genReqId: (request) => requestIdOf(request.headers[Header.RequestId]),
    ...(options.tls && { https: options.tls }),
  });
  validateStrictly(app);
  endStreamsAtClose(app);
  await acceptSockets(app);
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error, request.id);
    if (problem.status >= 500) request.log.error({ err: error }, 'request failed');
    return reply.code(problem.status).type(PROBLEM_MEDIA_TYPE).send(problem);
  });
  app.addHook('onRequest', takeSocketToken);
  requireAccess(app, access, certificates);
  auditRequests(app, audit);
  app.setNotFoundHandler(refuseUnknown);

  app.get('/healthz', { config: FOR_ANYONE }, async (_, reply) => {
    if (!options.isHealthy()) reply.code(503);
    return { healthy: options.isHealthy() };
  });
  const routes = (v1: FastifyInstance) => addRoutes(v1, options);
  let document: Promise<object> | undefined;
  app.get('/openapi.json', { config: FOR_ANYONE }, () => {
    document ??= describeRoutes(async (v1) => routes(v1), '/v1').catch((error) => {
      document = undefined;
      throw error;
    });
    return document;
  });
  await app.register(
    async (v1) => {
      v1.addHook('onRoute', closeSchema);
      v1.setNotFoundHandler(refuseUnknown);
      routes(v1);
    },
    { prefix: '/v1' },
  );
  return app;
}

function addRoutes(v1: FastifyInstance, { backends, accessAdmin }: HttpAppOptions): void {
  accessRoutes(v1, accessAdmin);
  nodeRoutes(v1, backends);
  namespaceRoutes(v1, backends);
  leaseRoutes(v1, backends);
  collectionRoutes(v1, backends);
  quotaRoutes(v1, backends);
  joinTokenRoutes(v1, backends);
  certificateRoutes(v1, backends);
  imageRoutes(v1, backends);
  imagePullRoute(v1, backends);
  containerRoutes(v1, backends);
  taskRoutes(v1, backends);
  logRoutes(v1, backends);
  statsRoutes(v1, backends);
  execSocket(v1, backends);
  attachSocket(v1, backends);
  execRoute(v1, backends);
  eventRoutes(v1, backends);
  runRoute(v1, backends);
  versionRoutes(v1);
}

function refuseUnknown(request: FastifyRequest): never {
  throw notFound(`route ${request.method} ${request.url.split('?', 1)[0]}`);
}
