import { invalidArgument } from '@longshore/errors';
import { jsonMembers } from './json-members.ts';

/** The members of a spec that decide about things outside of its container. */
const READ_AT_TOP = ['linux', 'annotations'];
const READ_IN_LINUX = ['cgroupsPath', 'gidMappings'];

/**
 * Refuses a spec that we would read otherwise than those behind us. runc and the shim are Go: there keys match in any
 * case, and objects under repeated keys are merged; crun, and `JSON.parse`, go by the exact key, and the last. So what
 * is read here must be there once. Source: Go's encoding/json, "preferring an exact match but also accepting a
 * case-insensitive match".
 */
export function refuseAmbiguousKeys(source: string): void {
  const linux = single(source, 0, READ_AT_TOP, '').get('linux');
  if (linux !== undefined) single(source, linux, READ_IN_LINUX, 'linux.');
}

/** Where the value of each wanted key begins. */
function single(source: string, at: number, wanted: readonly string[], prefix: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const { key, valueAt } of jsonMembers(source, at)) {
    const name = wanted.find((candidate) => isSameToGo(candidate, key));
    if (!name) continue;
    if (key !== name) throw invalidArgument(`spec: ${JSON.stringify(prefix + key)} must be ${prefix}${name}`);
    if (found.has(name)) throw invalidArgument(`spec: ${prefix}${name} is there twice`);
    found.set(name, valueAt);
  }
  return found;
}

/** Simple Unicode folding, to which U+017F is an `s`: what the flag `u` makes of `i`. */
function isSameToGo(name: string, key: string): boolean {
  return key === name || new RegExp(`^${name}$`, 'iu').test(key);
}
