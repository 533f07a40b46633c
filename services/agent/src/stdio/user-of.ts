import { invalidArgument, unimplemented } from '@longshore/errors';
import type { ProcessSpec } from '@longshore/oci';

/** The largest id that runc takes. */
const MAX_ID = 2 ** 31 - 1;

/**
 * `uid` or `uid:gid` as the runtime spec has a user; a lone uid has group 0. `rootfs` is the mounted root file system, whose own
 * passwd and group say what names mean. Throws InvalidArgument for what is no user, Unimplemented for names.
 */
export function userOf(_rootfs: string, text: string): NonNullable<ProcessSpec['user']> {
  const parts = text.split(':');
  if (parts.length > 2 || parts.includes('')) throw invalidArgument(`user ${JSON.stringify(text)}`);
  if (!parts.every((part) => /^\d+$/.test(part))) throw unimplemented(`user by name ${JSON.stringify(text)}`);
  const [uid = 0, gid = 0] = parts.map(Number);
  if (Math.max(uid, gid) > MAX_ID) throw invalidArgument(`user ${JSON.stringify(text)} is out of range`);
  return { uid, gid, additionalGids: [gid] };
}
