import { randomUUID } from 'node:crypto';
import type { Http2Session } from 'node:http2';

const KEYS = new WeakMap<Http2Session, string>();

/** Names the connection that a call came on, for as long as that lives. */
export function stickyKey(session: Http2Session | undefined): string {
  const known = session && KEYS.get(session);
  if (known) return known;
  const key = randomUUID();
  if (session) KEYS.set(session, key);
  return key;
}
