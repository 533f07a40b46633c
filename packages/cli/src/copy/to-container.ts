import { lstatSync } from 'node:fs';
import { basename, posix, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { type Container, packTree } from '@longshore/client';
import { notFound } from '@longshore/errors';
import { runInside, runTar } from './run-tar.ts';

/** What a tar archive holds, into a directory of the container. */
export function unpackInto(container: Container, directory: string, archive: Readable): Promise<void> {
  // Whoever files belonged to here is nobody there.
  return runTar(container, ['-C', directory, '-o', '-xf', '-'], { stdin: archive });
}

/** From this machine: into a directory that is there, or under the new name. Throws NotFound for what is not there. */
export async function copyTo(container: Container, source: string, path: string): Promise<void> {
  if (!lstatSync(source, { throwIfNoEntry: false })) throw notFound(`file "${source}"`);
  const isInto = path.endsWith('/') || (await isDirectory(container, path));
  const ownName = source.endsWith('/.') ? '' : basename(resolve(source));
  const archive = Readable.from(packTree(source, isInto ? ownName : posix.basename(path)));
  let failure: Error | undefined;
  archive.on('error', (error) => {
    failure = error;
  });
  try {
    await unpackInto(container, isInto ? path : posix.dirname(path), archive);
  } catch (error) {
    // An archive that breaks off is what tar then complains of.
    throw failure ?? error;
  } finally {
    archive.destroy();
  }
  if (failure) throw failure;
}

async function isDirectory(container: Container, path: string): Promise<boolean> {
  const { code } = await runInside(container, ['test', '-d', path]);
  return code === 0;
}
