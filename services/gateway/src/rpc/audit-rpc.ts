import { fromBinary } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';
import type { Handlers } from '@longshore/kit';
import { type AuditService, Result } from '@longshore/proto/longshore/audit/v1/audit';
import { AuditCallSchema, AuditRefusalSchema } from '@longshore/proto/longshore/audit/v1/audit_events';
import { findRecords } from '../audit/audit-query.ts';
import type { AuditRepository, AuditResultName } from '../storage/postgres/audit-repository.ts';

const RESULTS: Readonly<Record<Result, AuditResultName | undefined>> = {
  [Result.UNSPECIFIED]: undefined,
  [Result.OK]: 'ok',
  [Result.FAILED]: 'failed',
  [Result.UNKNOWN]: 'unknown',
  [Result.REFUSED]: 'refused',
};

/** `longshore.audit.v1.AuditService`. Who may ask about a namespace, the door has found out. */
export function auditRpc(repository: Pick<AuditRepository, 'list'>): Handlers<typeof AuditService> {
  return {
    async list({ namespace, since, until, caller, action, result, pageSize, pageToken }) {
      if (!(result in RESULTS)) throw invalidArgument(`result ${result}: it is not known`);
      const { records, cursor = '' } = await findRecords(repository, {
        namespace,
        caller,
        action,
        result: RESULTS[result],
        sinceMs: since && timestampMs(since),
        untilMs: until && timestampMs(until),
        cursor: pageToken,
        ...(pageSize !== 0 && { limit: pageSize }),
      });
      return {
        nextPageToken: cursor,
        records: records.map(({ result, payload }) => ({
          record:
            result === 'refused'
              ? { case: 'refusal', value: fromBinary(AuditRefusalSchema, payload) }
              : { case: 'call', value: fromBinary(AuditCallSchema, payload) },
        })),
      };
    },
  };
}
