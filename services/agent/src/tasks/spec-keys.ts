import { invalidArgument } from '@longshore/errors';
import { type JsonMember, jsonMembers } from './json-members.ts';

/** The members of a spec that decide about things outside of its container. */
const READ_AT_TOP = ['linux', 'annotations'] as const;
const READ_IN_LINUX = ['cgroupsPath', 'gidMappings'] as const;

/** Where in a spec's source those members are that it has. */
export interface SpecMembers {
  linux?: JsonMember | undefined;
  cgroupsPath?: JsonMember | undefined;
}

/**
 * Finds what is read here, and refuses a spec that we would read otherwise than those behind us. runc and the shim are Go:
 * there keys match in any case, and objects under repeated keys are merged; crun, and `JSON.parse`, go by the exact key,
 * and the last. So what is read here must be there once. Source: Go's encoding/json, "preferring an exact match but also
 * accepting a case-insensitive match".
 */
export function findSpecMembers(source: string): SpecMembers {
  const linux = single(source, 0, READ_AT_TOP, '').get('linux');
  if (!linux) return {};
  return { linux, cgroupsPath: single(source, linux.valueAt, READ_IN_LINUX, 'linux.').get('cgroupsPath') };
}

/** The wanted members of the object at `at`. */
function single<Name extends string>(
  source: string,
  at: number,
  wanted: readonly Name[],
  prefix: string,
): Map<Name, JsonMember> {
  const found = new Map<Name, JsonMember>();
  for (const member of jsonMembers(source, at)) {
    const { key } = member;
    const name = wanted.find((candidate) => isSameToGo(candidate, key));
    if (!name) continue;
    if (key !== name) throw invalidArgument(`spec: ${JSON.stringify(prefix + key)} must be ${prefix}${name}`);
    if (found.has(name)) throw invalidArgument(`spec: ${prefix}${name} is there twice`);
    found.set(name, member);
  }
  return found;
}

/** Simple Unicode folding, to which U+017F is an `s`: what the flag `u` makes of `i`. It keeps the length. */
function isSameToGo(name: string, key: string): boolean {
  return key === name || (key.length === name.length && new RegExp(`^${name}$`, 'iu').test(key));
}
