import { createReadStream, type Stats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type ArchiveWriter, packArchive } from './pack-archive.ts';

/**
 * An archive of a file, or of a directory with all that is below it, while it is read; `name` is what it is called there, empty for a
 * directory whose contents alone are wanted. Links stay links; sockets, devices and fifos are left out. Owners are not told. A file
 * that shrinks meanwhile is an error.
 */
export function packTree(path: string, name: string): AsyncGenerator<Buffer> {
  return packArchive((archive) => add(archive, path, name));
}

async function add(archive: ArchiveWriter, path: string, name: string): Promise<void> {
  const stats = await lstat(path);
  const attributes = { mode: stats.mode & 0o7777, mtime: stats.mtime };
  if (stats.isDirectory()) {
    if (name !== '') await archive.entry({ ...attributes, type: 'directory', name: `${name}/` });
    for (const child of (await readdir(path)).sort()) {
      await add(archive, join(path, child), name === '' ? child : `${name}/${child}`);
    }
  } else if (stats.isSymbolicLink()) {
    await archive.entry({ ...attributes, type: 'symlink', name, linkname: await readlink(path) });
  } else if (stats.isFile()) {
    await archive.stream(name, stats.size, bytesOf(path, stats), undefined, attributes);
  }
}

/** One that grows is told as it was. */
async function* bytesOf(path: string, { size }: Stats): AsyncGenerator<Buffer> {
  if (size > 0) yield* createReadStream(path, { end: size - 1 });
}
