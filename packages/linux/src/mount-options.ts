import { invalidArgument, unimplemented } from '@longshore/errors';

/** Flags of mount(2). Source: linux/mount.h; the same on every architecture. */
export const MountFlag = {
  ReadOnly: 1 << 0,
  NoSuid: 1 << 1,
  NoDev: 1 << 2,
  NoExec: 1 << 3,
  Synchronous: 1 << 4,
  Remount: 1 << 5,
  Mandlock: 1 << 6,
  DirSync: 1 << 7,
  NoAtime: 1 << 10,
  NoDirAtime: 1 << 11,
  Bind: 1 << 12,
  Recursive: 1 << 14,
  Unbindable: 1 << 17,
  Private: 1 << 18,
  Slave: 1 << 19,
  Shared: 1 << 20,
  RelAtime: 1 << 21,
  StrictAtime: 1 << 24,
} as const;

const F = MountFlag;

/** What each fstab-style word sets. Source: containerd core/mount/mount_linux.go, and runc for propagation. */
const SETS: ReadonlyMap<string, number> = new Map(
  Object.entries({
    bind: F.Bind,
    rbind: F.Bind | F.Recursive,
    dirsync: F.DirSync,
    mand: F.Mandlock,
    noatime: F.NoAtime,
    nodev: F.NoDev,
    nodiratime: F.NoDirAtime,
    noexec: F.NoExec,
    nosuid: F.NoSuid,
    private: F.Private,
    relatime: F.RelAtime,
    remount: F.Remount,
    ro: F.ReadOnly,
    rprivate: F.Private | F.Recursive,
    rshared: F.Shared | F.Recursive,
    rslave: F.Slave | F.Recursive,
    runbindable: F.Unbindable | F.Recursive,
    shared: F.Shared,
    slave: F.Slave,
    strictatime: F.StrictAtime,
    sync: F.Synchronous,
    unbindable: F.Unbindable,
  }),
);

const CLEARS: ReadonlyMap<string, number> = new Map(
  Object.entries({
    async: F.Synchronous,
    atime: F.NoAtime,
    dev: F.NoDev,
    diratime: F.NoDirAtime,
    exec: F.NoExec,
    nomand: F.Mandlock,
    norelatime: F.RelAtime,
    nostrictatime: F.StrictAtime,
    rw: F.ReadOnly,
    suid: F.NoSuid,
  }),
);

export const PROPAGATION_FLAGS = F.Shared | F.Private | F.Slave | F.Unbindable;

export interface ParsedMountOptions {
  /** Flags for mount(2), without those of propagation. */
  flags: number;
  /** Propagation to set afterwards, in a call of its own; 0 for none. */
  propagation: number;
  /** What the file system itself is to read. */
  data: string;
  /** Ids that the mount shows for those on disk, both or neither; `container:host:size,…`. */
  idMap: { uids: string; gids: string } | undefined;
}

/**
 * Splits options into flags and data; the last word about a flag wins, and `defaults` says nothing.
 * Throws Unimplemented for `loop`, InvalidArgument for what the kernel would misread.
 */
export function parseMountOptions(options: readonly string[]): ParsedMountOptions {
  let flags = 0;
  let propagation = 0;
  const data: string[] = [];
  const ids = new Map<string, string>();
  for (const option of options) {
    const [, which = '', mapping = ''] = /^([ug]idmap)=(.*)$/s.exec(option) ?? [];
    if (which !== '') {
      ids.set(which, mapping);
      continue;
    }
    const sets = SETS.get(option) ?? 0;
    const clears = CLEARS.get(option) ?? 0;
    if (sets & PROPAGATION_FLAGS) propagation = sets;
    else if (sets) flags |= sets;
    else if (clears) flags &= ~clears;
    else if (isData(option)) data.push(option);
  }
  return { flags, propagation, data: data.join(','), idMap: idMapOf(ids) };
}

function idMapOf(ids: ReadonlyMap<string, string>): ParsedMountOptions['idMap'] {
  const [uids, gids] = [ids.get('uidmap'), ids.get('gidmap')];
  if (uids !== undefined && gids !== undefined) return { uids, gids };
  if (ids.size === 0) return undefined;
  throw invalidArgument('mount options "uidmap" and "gidmap" come together');
}

function isData(option: string): boolean {
  if (option === 'defaults' || option === '') return false;
  if (option === 'loop') throw unimplemented('mount option "loop"');
  if (option.includes('\0')) throw invalidArgument(`mount option ${JSON.stringify(option)} holds a NUL byte`);
  return true;
}
