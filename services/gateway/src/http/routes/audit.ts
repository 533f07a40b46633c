import { fromBinary } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { AuditCallSchema, AuditRefusalSchema } from '@longshore/proto/longshore/audit/v1/audit_events';
import type { FastifyInstance } from 'fastify';
import { findRecords } from '../../audit/audit-query.ts';
import {
  AUDIT_RESULTS,
  type AuditRepository,
  type AuditResultName,
} from '../../storage/postgres/audit-repository.ts';
import { type PageQuery, pageQuery } from '../page.ts';
import { inNamespace, namespaceOf } from '../route-rule.ts';
import { answers, object, pageSchema, text, texts, time } from '../schemas.ts';
import { pointInTime } from '../tasks/point-in-time.ts';
import { timeToJson } from '../time.ts';

interface AuditQuery extends PageQuery {
  since?: string;
  until?: string;
  caller?: string;
  action?: string;
  result?: AuditResultName;
}

const recordSchema = object({
  id: text,
  result: { enum: AUDIT_RESULTS },
  caller: { ...text, description: 'Empty for one who has not proven who it is.' },
  address: text,
  action: text,
  namespace: text,
  node: text,
  request_id: text,
  subject: { ...texts, description: 'What it was about; empty for what was refused.' },
  began_at: { ...time, description: 'Of refusals: the first.' },
  ended_at: { type: ['string', 'null'], format: 'date-time', description: 'Of refusals: the last.' },
  error: { ...text, description: 'The kind of the error, if there was one.' },
  reason: { ...text, description: 'Of what was refused: in words.' },
  count: { type: 'integer', description: 'Refusals of the same kind that came together.' },
});

const schema = {
  summary: 'Who did what at the edge, the newest first',
  operationId: 'listAudit',
  querystring: {
    type: 'object',
    properties: {
      namespace: { ...text, default: 'default', description: 'A namespace, for its admins; `*`: all.' },
      since: { ...text, description: 'RFC 3339, seconds since 1970, or an age such as `2h`.' },
      until: { ...text, description: 'As `since`; exclusive.' },
      caller: { ...text, description: 'Exact, e.g. `user/alice`.' },
      action: { ...text, description: 'Exact: a gRPC method, or a route as records have it.' },
      result: { enum: AUDIT_RESULTS },
      ...pageQuery,
    },
  },
  response: answers('A page of the log.', pageSchema(recordSchema)),
};

/** The audit log, for those who decide about a namespace, or the fleet. */
export function auditRoutes(app: FastifyInstance, repository: Pick<AuditRepository, 'list'>): void {
  app.get<{ Querystring: AuditQuery }>(
    '/audit',
    { schema, config: inNamespace('admin') },
    async (request) => {
      const { since, until, ...rest } = request.query;
      const { records, cursor = null } = await findRecords(repository, {
        ...rest,
        namespace: namespaceOf(request),
        ...(since !== undefined && { sinceMs: timestampMs(pointInTime(since, 'since')) }),
        ...(until !== undefined && { untilMs: timestampMs(pointInTime(until, 'until')) }),
      });
      return { items: records.map(recordToJson), next_cursor: cursor };
    },
  );
}

function recordToJson({ result, payload }: { result: AuditResultName; payload: Uint8Array }) {
  if (result === 'refused') {
    const {
      requestId,
      firstAt,
      lastAt,
      count,
      $typeName: _,
      $unknown: __,
      ...refusal
    } = fromBinary(AuditRefusalSchema, payload);
    return {
      ...refusal,
      result,
      request_id: requestId,
      subject: {},
      began_at: timeToJson(firstAt),
      ended_at: timeToJson(lastAt),
      count: Number(count),
    };
  }
  const {
    requestId,
    beganAt,
    endedAt,
    outcome: _,
    $typeName: __,
    $unknown: ___,
    ...call
  } = fromBinary(AuditCallSchema, payload);
  return {
    ...call,
    result,
    request_id: requestId,
    began_at: timeToJson(beganAt),
    ended_at: timeToJson(endedAt) ?? null,
    reason: '',
    count: 1,
  };
}
