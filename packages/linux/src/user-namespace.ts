import { read, readlinkSync, write, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { failedPrecondition, invalidArgument } from '@longshore/errors';
import { AT_FDCWD, close, OpenFlag, openat } from './open.ts';
import { endOf, type Piped, spawnPiped } from './spawn.ts';

/** This process has threads, so it cannot make one by itself; this is of util-linux, which every Debian has. */
const UNSHARE = '/usr/bin/unshare';

/** `container:host:size`, more of them after commas. */
const MAPPINGS = /^\d+:\d+:\d+(,\d+:\d+:\d+)*$/;

/** Between looks at a process that is ending. */
const REAP_EVERY_MS = 1;

/**
 * A handle, to be closed with `close`, on a user namespace of nobody with these ids in it: `container:host:size`, more
 * of them after commas. Throws InvalidArgument for mappings that the kernel refuses.
 */
export async function openUserNamespace(uids: string, gids: string): Promise<number> {
  const maps = { uid_map: linesOf('uidmap', uids), gid_map: linesOf('gidmap', gids) };
  const holder = spawnPiped({
    path: UNSHARE,
    args: ['--user', '--', 'cat'],
    env: { PATH: '/usr/bin:/bin' },
  });
  try {
    await awaitEcho(holder);
    const proc = `/proc/${holder.pid}`;
    if (readlinkSync(`${proc}/ns/user`) === readlinkSync('/proc/self/ns/user')) throw noNamespace();
    for (const [file, lines] of Object.entries(maps)) writeMappings(`${proc}/${file}`, lines);
    return openat(AT_FDCWD, `${proc}/ns/user`, OpenFlag.ReadOnly);
  } finally {
    await end(holder);
  }
}

function linesOf(name: string, mappings: string): string {
  if (!MAPPINGS.test(mappings)) {
    throw invalidArgument(`${name} ${JSON.stringify(mappings)}: want container:host:size,…`);
  }
  return `${mappings.replaceAll(':', ' ').replaceAll(',', '\n')}\n`;
}

/** The kernel takes them in one piece, once. */
function writeMappings(path: string, lines: string): void {
  try {
    writeFileSync(path, lines);
  } catch (error) {
    throw invalidArgument(`id mappings ${JSON.stringify(lines.trim())}: refused by the kernel`, {
      cause: error,
    });
  }
}

/** `cat` answers once it runs, in its namespace. */
async function awaitEcho({ stdin, stdout }: Piped): Promise<void> {
  await promisify(write)(stdin, 'x');
  const { bytesRead } = await promisify(read)(stdout, Buffer.alloc(1), 0, 1, null);
  if (bytesRead === 0) throw noNamespace();
}

function noNamespace(): Error {
  return failedPrecondition('user namespace: the kernel lets none be made');
}

/** It ends with its input. */
async function end({ pid, stdin, stdout, stderr }: Piped): Promise<void> {
  for (const fd of [stdin, stdout, stderr]) close(fd);
  while (endOf(pid) === undefined) await delay(REAP_EVERY_MS);
}
