import { createHash } from 'node:crypto';
import type { Message } from '@bufbuild/protobuf';
import { failedPrecondition } from '@longshore/errors';
import { Header } from '@longshore/proto/headers';

/** Short enough for a header, long enough that no two versions share one. */
const TAG_BYTES = 15;

/** Names the content of a record: whoever has the message gets the same, whatever the order of its labels. */
export function recordTag(record: Message): string {
  return createHash('sha256').update(canonical(record)).digest().subarray(0, TAG_BYTES).toString('base64url');
}

/**
 * Throws FailedPrecondition when a call wants a version of the record that is not this one, as `If-Match` of HTTP. To be
 * asked while the record cannot change.
 */
export function requireTag(
  call: { header(name: string): string | undefined },
  subject: string,
  record: () => Message,
): void {
  const wanted = call.header(Header.IfMatch);
  if (wanted === undefined || wanted.split(' ').includes(recordTag(record()))) return;
  throw failedPrecondition(`${subject}: it has changed since it was read`);
}

function canonical(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString('base64'));
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value)
    .filter(([name, field]) => name !== '$unknown' && field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join()}}`;
}
