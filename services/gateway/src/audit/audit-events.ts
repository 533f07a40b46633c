import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { kindOf, messageOf } from '@longshore/errors';
import {
  AuditCallSchema,
  AuditRefusalSchema,
  Outcome,
} from '@longshore/proto/longshore/audit/v1/audit_events';
import type { AuditRecordRow, AuditResultName, AuditRow } from '../storage/postgres/audit-repository.ts';
import type { AuditEntry, AuditRefusal, AuditResult } from './audit-log.ts';
import { clip, scrub } from './scrub.ts';

/** Every event of the gateway. */
export const AuditEvent = {
  call: { topic: '/audit/call', typeUrl: AuditCallSchema.typeName },
  refusal: { topic: '/audit/refusal', typeUrl: AuditRefusalSchema.typeName },
} as const;

const RESULTS: Readonly<Record<Outcome, AuditResultName>> = {
  [Outcome.UNSPECIFIED]: 'unknown',
  [Outcome.OK]: 'ok',
  [Outcome.FAILED]: 'failed',
  [Outcome.UNKNOWN]: 'unknown',
};

/** A call whose record has been opened. */
export interface BegunCall {
  /** A UUID. */
  id: string;
  entry: AuditEntry;
  /** Milliseconds since the epoch. */
  beganAt: number;
}

/** Refusals that are told as one. */
export interface CountedRefusal {
  /** A UUID. */
  id: string;
  /** The first of them. */
  refusal: AuditRefusal;
  count: number;
  /** Milliseconds since the epoch. */
  firstAt: number;
  lastAt: number;
}

/** What is kept of a call that ended. */
export function callRecord(call: BegunCall, result: AuditResult, endedAt: number): AuditRecordRow {
  return recordOfCall({ id: call.id, payload: callPayload(call, result, endedAt) });
}

/** What is kept of a call by its payload. */
export function recordOfCall({ id, payload }: AuditRow): AuditRecordRow {
  const { outcome, beganAt, namespace, caller, action } = fromBinary(AuditCallSchema, payload);
  const at = beganAt ? timestampMs(beganAt) : 0;
  return { id, payload, at, namespace, caller, action, result: RESULTS[outcome] };
}

export function refusalRecord(counted: CountedRefusal): AuditRecordRow {
  const payload = refusalPayload(counted);
  const { namespace, caller, action } = placeOf(counted.refusal);
  return { id: counted.id, payload, at: counted.firstAt, namespace, caller, action, result: 'refused' };
}

/** The payload for a call that ended; for one that has not, and may never be heard of again, without `endedAt`. */
export function callPayload(
  { id, entry, beganAt }: BegunCall,
  result: AuditResult,
  endedAt?: number,
): Buffer {
  const isError = typeof result === 'object';
  const message = create(AuditCallSchema, {
    ...placeOf(entry),
    id,
    subject: Object.fromEntries(
      Object.entries(entry.subject).map(([name, value]) => [name, clip(scrub(value))]),
    ),
    beganAt: timestampFromMs(beganAt),
    outcome: isError ? Outcome.FAILED : result === 'ok' ? Outcome.OK : Outcome.UNKNOWN,
    error: isError ? result.error : '',
    ...(endedAt !== undefined && { endedAt: timestampFromMs(endedAt) }),
  });
  return Buffer.from(toBinary(AuditCallSchema, message));
}

function refusalPayload({ id, refusal, count, firstAt, lastAt }: CountedRefusal): Buffer {
  const message = create(AuditRefusalSchema, {
    ...placeOf(refusal),
    id,
    error: kindOf(refusal.error),
    reason: clip(scrub(messageOf(refusal.error))),
    count: BigInt(count),
    firstAt: timestampFromMs(firstAt),
    lastAt: timestampFromMs(lastAt),
  });
  return Buffer.from(toBinary(AuditRefusalSchema, message));
}

/** Much of it is the caller's own words, as they came. */
function placeOf({ caller, address, action, namespace, node, requestId }: Omit<AuditEntry, 'subject'>) {
  return {
    caller: clip(caller),
    address: clip(address),
    action: clip(action),
    namespace: clip(namespace),
    node: clip(node),
    requestId: clip(requestId),
  };
}
