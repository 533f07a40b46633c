import { invalidArgument } from '@longshore/errors';
import { MAX_ID } from './user-database.ts';

/** A user or group by its number, or by its name in the root file system's own files. */
export type IdOrName = { id: number } | { name: string };

export interface UserReference {
  user: IdOrName;
  /** Undefined when nothing follows the user. */
  group: IdOrName | undefined;
}

/**
 * Parses what an image or a person says of a user: `user`, `uid`, `user:group`, `uid:gid` and the two mixtures. An empty
 * part beside a colon is 0. Throws InvalidArgument. Source: OCI image-spec config.md, User.
 */
export function parseUserReference(text: string): UserReference {
  const [user = '', group, ...rest] = text.split(':');
  if (rest.length > 0) throw invalidArgument(`user ${JSON.stringify(text)} has more than two parts`);
  if (group === undefined) return { user: parseIdOrName(user, text), group: undefined };
  return { user: parseIdOrName(user || '0', text), group: parseIdOrName(group || '0', text) };
}

function parseIdOrName(part: string, text: string): IdOrName {
  if (part === '') throw invalidArgument('user is empty');
  if (!/^[+-]?\d+$/.test(part)) return { name: part };
  // Not -0, of which JSON makes another text.
  const id = Number(part) + 0;
  if (id < 0 || id > MAX_ID) {
    throw invalidArgument(`user ${JSON.stringify(text)}: ${part} is out of range 0 to ${MAX_ID}`);
  }
  return { id };
}
