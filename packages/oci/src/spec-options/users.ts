import { notFound } from '@longshore/errors';
import type { UserSpec } from '../spec.ts';
import { changeProcess, type SpecOption } from './spec-option.ts';
import {
  type GroupEntry,
  hasMember,
  parseGroup,
  parsePasswd,
  type UserEntry,
  type UserFiles,
} from './user-database.ts';
import { type IdOrName, parseUserReference } from './user-reference.ts';

/**
 * The user as an image names it (`app`, `1000`, `app:staff`, `1000:50`), found in the root file system's own files. Throws
 * InvalidArgument for what is no reference, NotFound for a name that the files do not have. An id needs not be in them; alone
 * it has the group that they say, else 0. Further groups are left to {@link withAdditionalGids}.
 */
export function withUser(text: string, files: UserFiles): SpecOption {
  const { user, group } = parseUserReference(text);
  if (group === undefined) return 'id' in user ? withUserId(user.id, files) : withUsername(user.name, files);
  return setUser(() => ({ uid: uidOf(user, files), gid: gidOf(group, files) }));
}

/** A user with the group that the files say, or 0 when they do not know it. */
export function withUserId(uid: number, files: UserFiles): SpecOption {
  return setUser(() => ({ uid, gid: findUser(files, (entry) => entry.uid === uid)?.gid ?? 0 }));
}

/** Throws NotFound. */
export function withUsername(name: string, files: UserFiles): SpecOption {
  return setUser(() => {
    const { uid, gid } = requireUser(name, files);
    return { uid, gid };
  });
}

export function withUidGid(uid: number, gid: number): SpecOption {
  return setUser(() => ({ uid, gid }));
}

/** Sets the groups that list the user, which is given by id or name, as a member; none when the files do not know it. */
export function withAdditionalGids(user: string, files: UserFiles): SpecOption {
  return changeUser((before) => ({ ...before, additionalGids: gidsListing(user, files) }));
}

/** Adds groups by id or name. Throws NotFound for a name that the files do not have. */
export function withAppendAdditionalGroups(groups: readonly string[], files: UserFiles): SpecOption {
  return changeUser((before) => {
    const more = groups.map((group) => (/^\d+$/.test(group) ? Number(group) : gidOf({ name: group }, files)));
    return { ...before, additionalGids: [...(before.additionalGids ?? []), ...more] };
  });
}

/** Permission bits that new files do not get. Source: umask(2). */
export function withUmask(umask: number): SpecOption {
  return changeProcess((process) => ({ ...process, user: { uid: 0, gid: 0, ...process.user, umask } }));
}

/** Another user has other groups. */
function setUser(find: () => { uid: number; gid: number }): SpecOption {
  return changeUser((before) => ({ ...before, ...find(), additionalGids: [] }));
}

/**
 * The main group is always among the additional ones: a process that changes its main group would else escape what is
 * forbidden to that group. Source: containerd GHSA-hmfx-3pcx-653p.
 */
function changeUser(change: (user: UserSpec) => UserSpec): SpecOption {
  return changeProcess((process) => {
    const user = change(process.user ?? { uid: 0, gid: 0 });
    const gids = user.additionalGids ?? [];
    return {
      ...process,
      user: { ...user, additionalGids: gids.includes(user.gid) ? gids : [user.gid, ...gids] },
    };
  });
}

function uidOf(user: IdOrName, files: UserFiles): number {
  return 'id' in user ? user.id : requireUser(user.name, files).uid;
}

function gidOf(group: IdOrName, files: UserFiles): number {
  if ('id' in group) return group.id;
  const found = groupsOf(files).find(({ name }) => name === group.name);
  if (!found) throw notFound(`group ${JSON.stringify(group.name)} in the container's /etc/group`);
  return found.gid;
}

function requireUser(name: string, files: UserFiles): UserEntry {
  const found = findUser(files, (entry) => entry.name === name);
  if (!found) throw notFound(`user ${JSON.stringify(name)} in the container's /etc/passwd`);
  return found;
}

function findUser(files: UserFiles, fits: (entry: UserEntry) => boolean): UserEntry | undefined {
  return parsePasswd(files.passwd() ?? '').find(fits);
}

function groupsOf(files: UserFiles): Generator<GroupEntry> {
  return parseGroup(files.group() ?? '');
}

/** A group of the user's own name is the main one, whatever it lists. */
function gidsListing(user: string, files: UserFiles): number[] {
  const name = /^\d+$/.test(user) ? findUser(files, ({ uid }) => uid === Number(user))?.name : user;
  if (!name) return [];
  return groupsOf(files)
    .filter((group) => group.name !== name && hasMember(group, name))
    .map(({ gid }) => gid)
    .toArray();
}
