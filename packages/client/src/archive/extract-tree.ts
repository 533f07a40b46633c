import { constants, createWriteStream } from 'node:fs';
import { chmod, link, lstat, mkdir, rm, symlink, utimes } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { failedPrecondition, invalidArgument } from '@longshore/errors';
import { type ArchiveEntry, archiveEntries } from './archive-entries.ts';
import { cleanName } from './clean-name.ts';

export interface ExtractOptions {
  /** Another name for a member; undefined leaves it out. */
  rename?: ((name: string) => string | undefined) | undefined;
  signal?: AbortSignal | undefined;
}

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

/**
 * Unpacks an archive below a directory that is there, and nowhere else: members that would lead out of it, by their names or by links of the
 * same archive, are InvalidArgument. Files that are in the way are replaced, directories are not. Owners are the caller's; set-id bits
 * are left out. What came before an error stays. Not for directories that others change meanwhile.
 */
export async function extractTree(
  source: AsyncIterable<Uint8Array>,
  directory: string,
  { rename = (name) => name, signal }: ExtractOptions = {},
): Promise<void> {
  /** Deepest last: what is put into a directory changes its time, and its mode may forbid to. */
  const directories: { path: string; entry: ArchiveEntry }[] = [];
  for await (const entry of archiveEntries(source, signal)) {
    const renamed = rename(entry.name);
    if (renamed === undefined) continue;
    const name = cleanName(renamed);
    const path = await pathFor(directory, name);
    if (entry.type === 'directory') {
      if (name !== '') await makeDirectory(path);
      directories.push({ path, entry });
    } else if (name !== '') {
      await removeFile(path);
      await make(entry, path, directory, rename);
    }
  }
  for (const { path, entry } of directories.reverse()) {
    await chmod(path, entry.mode & 0o777);
    await utimes(path, entry.mtime, entry.mtime);
  }
}

async function make(
  entry: ArchiveEntry,
  path: string,
  directory: string,
  rename: NonNullable<ExtractOptions['rename']>,
): Promise<void> {
  if (entry.type === 'symlink') return symlink(entry.linkName, path);
  if (entry.type === 'link') {
    const target = rename(cleanName(entry.linkName));
    if (target === undefined)
      throw invalidArgument(`archive links to ${JSON.stringify(entry.linkName)}, which is left out`);
    return link(await pathFor(directory, cleanName(target)), path);
  }
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  await pipeline(entry.bytes, createWriteStream(path, { flags: flags as never, mode: 0o600 }));
  await chmod(path, entry.mode & 0o777);
  await utimes(path, entry.mtime, entry.mtime);
}

/** Makes the directories above it, none of which may be a link. */
async function pathFor(directory: string, name: string): Promise<string> {
  const parent = posix.dirname(name);
  let path = directory;
  for (const part of parent === '.' ? [] : parent.split('/')) {
    path = join(path, part);
    await makeDirectory(path);
  }
  return join(directory, name);
}

async function makeDirectory(path: string): Promise<void> {
  const found = await lstatOrNone(path);
  if (!found) await mkdir(path, { mode: 0o755 });
  else if (!found.isDirectory())
    throw invalidArgument(`archive has a member below ${JSON.stringify(path)}, which is no directory`);
}

async function removeFile(path: string): Promise<void> {
  const found = await lstatOrNone(path);
  if (found?.isDirectory()) throw failedPrecondition(`${JSON.stringify(path)} is a directory`);
  if (found) await rm(path);
}

async function lstatOrNone(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
