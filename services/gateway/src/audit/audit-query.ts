import { invalidArgument } from '@longshore/errors';
import { WHOLE_FLEET } from '../access/role.ts';
import type {
  AuditPlace,
  AuditQuery,
  AuditRepository,
  AuditRow,
} from '../storage/postgres/audit-repository.ts';

export const DEFAULT_AUDIT_ITEMS = 100;
export const MAX_AUDIT_ITEMS = 1000;

const PLACE = /^(\d{1,15}) ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
/** Of times; Postgres knows some that are earlier, and none that are later. */
const MAX_TIME_MS = 8.64e15;

/** A question as it comes: empty texts say nothing. */
export interface AuditQuestion extends Omit<AuditQuery, 'after' | 'limit'> {
  /** What {@link findRecords} answered before. */
  cursor?: string | undefined;
  /** Default: {@link DEFAULT_AUDIT_ITEMS}. */
  limit?: number | undefined;
}

export interface AuditPage<T> {
  records: T[];
  /** Undefined behind the last one. */
  cursor: string | undefined;
}

/** Looks records up, the newest first. Throws InvalidArgument. */
export async function findRecords(
  repository: Pick<AuditRepository, 'list'>,
  {
    cursor,
    limit = DEFAULT_AUDIT_ITEMS,
    namespace,
    caller,
    action,
    sinceMs,
    untilMs,
    ...rest
  }: AuditQuestion,
): Promise<AuditPage<Awaited<ReturnType<AuditRepository['list']>>[number]>> {
  if (!(limit >= 1 && limit <= MAX_AUDIT_ITEMS)) {
    throw invalidArgument(`page size ${limit}: want 1 to ${MAX_AUDIT_ITEMS}`);
  }
  const records = await repository.list({
    ...rest,
    sinceMs: timeFrom(sinceMs),
    untilMs: timeFrom(untilMs),
    namespace: namespace === WHOLE_FLEET ? undefined : namespace || undefined,
    caller: caller || undefined,
    action: action || undefined,
    after: cursor ? placeOf(cursor) : undefined,
    limit: limit + 1,
  });
  const last = records.length > limit ? records[limit - 1] : undefined;
  return { records: records.slice(0, limit), cursor: last && cursorOf(last) };
}

function timeFrom(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.min(Math.max(0, ms), MAX_TIME_MS);
}

function cursorOf({ at, id }: AuditRow & { at: number }): string {
  return Buffer.from(`${at} ${id}`).toString('base64url');
}

function placeOf(cursor: string): AuditPlace {
  const [, at, id] = PLACE.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (at === undefined || id === undefined)
    throw invalidArgument('page token: it is of no answer of this list');
  return { at: Number(at), id };
}
