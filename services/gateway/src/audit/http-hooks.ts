import type { Socket } from 'node:net';
import { invalidArgument, kindOf, messageOf } from '@longshore/errors';
import { FLEET } from '@longshore/proto/headers';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Rule } from '../access/rule.ts';
import { namespaceOf } from '../http/route-rule.ts';
import type { AuditLog, AuditResult, OpenRecord } from './audit-log.ts';
import { isRefusal } from './is-refusal.ts';
import { subjectOfJson } from './subject.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * The record of a request that changes something. It ends with the answer; a handler that finds out about the outcome after
     * it has begun to answer says it here.
     */
    record: OpenRecord | undefined;
    /** The audit log has it, or will. */
    isKept: boolean;
    /** What its answer is, when that is an error. */
    failure: unknown;
  }
}

/** Keeps what is changed over HTTP, and what is refused. To be called after the hooks that say who asks and whether they may. */
export function auditRequests(app: FastifyInstance, audit: AuditLog): void {
  auditBrokenRequests(app, audit);
  app.decorateRequest('record', undefined);
  app.decorateRequest('isKept', false);
  app.decorateRequest('failure', undefined);
  app.addHook('preHandler', async (request, reply) => {
    if (request.is404 || !changes(request.routeOptions.config.rule)) return;
    const { namespace, ...place } = placeOf(request);
    const subject = subjectOfJson({
      ...(request.query as object | null),
      ...(request.body as object | null),
      ...(request.params as object | null),
    });
    request.isKept = true;
    const record = await audit.begin({ ...place, namespace, subject });
    request.record = record;
    reply.raw.once('close', () => record.end(resultOf(request, reply)));
  });
  app.addHook('onError', async (request, _, error) => {
    request.failure = isOfFastify(error) ? invalidArgument(messageOf(error)) : error;
  });
  app.addHook('onResponse', async (request) => {
    const { isKept, failure } = request;
    if (isKept || failure === undefined) return;
    if (isRefusal(failure) || changes(request.routeOptions.config.rule)) {
      audit.refused({ ...placeOf(request), error: failure });
    }
  });
}

/** It refuses by itself what is no valid request. */
function isOfFastify(error: unknown): boolean {
  return ((error as { statusCode?: number }).statusCode ?? 500) < 500;
}

/** What is no request at all, or did not come in time: Fastify answers it. */
function auditBrokenRequests(app: FastifyInstance, audit: AuditLog): void {
  app.server.on('clientError', (error: NodeJS.ErrnoException, socket: Partial<Socket>) => {
    if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return;
    audit.refused({
      requestId: '',
      caller: '',
      address: socket.remoteAddress ?? '',
      action: '',
      namespace: '',
      node: '',
      error: invalidArgument(`request: ${error.code ?? error.message}`),
    });
  });
}

function changes(rule: Rule | undefined): boolean {
  return rule !== undefined && 'need' in rule && rule.need !== 'read';
}

/** Who asks for what, and where. */
export function placeOf(request: FastifyRequest) {
  const { url } = request.routeOptions;
  const { rule } = request.routeOptions.config;
  const { node } = { ...(request.query as object | null) } as { node?: unknown };
  return {
    requestId: request.id,
    caller: request.caller?.kind === 'anonymous' ? '' : (request.caller?.name ?? ''),
    address: request.ip,
    action: url === undefined ? '' : `${request.method} ${url}`,
    namespace: rule?.on === 'namespace' ? namespaceOf(request) : '',
    node: typeof node === 'string' ? node : FLEET,
  };
}

/** A caller that left before it was answered cannot say whether it was done. */
function resultOf({ failure }: FastifyRequest, { raw, statusCode }: FastifyReply): AuditResult {
  if (failure !== undefined) return { error: kindOf(failure) };
  if (!raw.headersSent) return 'unknown';
  return statusCode < 400 ? 'ok' : { error: 'Unknown' };
}
