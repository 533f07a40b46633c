import { lstatSync } from 'node:fs';
import { basename, dirname, posix, resolve } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Container } from '@longshore/client';
import { notFound } from '@longshore/errors';
import { create, type WriteEntry } from 'tar';
import { renamed } from './rename.ts';
import { runInside, runTar } from './run-tar.ts';

/** What a tar archive holds, into a directory of the container. */
export function unpackInto(container: Container, directory: string, archive: Readable): Promise<void> {
  // Whoever files belonged to here is nobody there.
  return runTar(container, ['-C', directory, '-o', '-xf', '-'], { stdin: archive });
}

/** From this machine: into a directory that is there, or under the new name. Throws NotFound for what is not there. */
export async function copyTo(container: Container, source: string, path: string): Promise<void> {
  if (!lstatSync(source, { throwIfNoEntry: false })) throw notFound(`file "${source}"`);
  const isContent = source.endsWith('/.');
  const from = isContent ? '.' : basename(resolve(source));
  const cwd = isContent ? resolve(source) : dirname(resolve(source));
  const isInto = path.endsWith('/') || (await isDirectory(container, path));
  const rename = renamed(from, isInto ? from : posix.basename(path));
  const archive = new PassThrough();
  const packed = pipeline(
    create(
      {
        cwd,
        portable: true,
        noMtime: false,
        onWriteEntry(entry: WriteEntry) {
          entry.path = rename(entry.path);
        },
      },
      [from.startsWith('@') ? `./${from}` : from],
    ),
    archive,
  );
  packed.catch((error: unknown) => archive.destroy(error as Error));
  await unpackInto(container, isInto ? path : posix.dirname(path), archive);
  await packed;
}

async function isDirectory(container: Container, path: string): Promise<boolean> {
  const { code } = await runInside(container, ['test', '-d', path]);
  return code === 0;
}
