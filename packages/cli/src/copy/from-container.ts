import { statSync } from 'node:fs';
import { basename, dirname, posix, resolve } from 'node:path';
import { PassThrough, type Writable } from 'node:stream';
import { type Container, extractTree } from '@longshore/client';
import { UsageError } from '../usage-error.ts';
import { renamed } from './rename.ts';
import { runTar } from './run-tar.ts';

/** As a tar archive. */
export function archiveOf(container: Container, path: string, to: Writable): Promise<void> {
  const [directory, name] = splitSource(path);
  return runTar(container, ['-C', directory, '-cf', '-', '--', name], { stdout: to });
}

/**
 * To this machine: into a directory that is there, or under the new name. What the archive holds stays below it, whatever it names. Throws
 * UsageError for a target that cannot be.
 */
export async function copyFrom(container: Container, path: string, target: string): Promise<void> {
  const [, name] = splitSource(path);
  const there = statSync(target, { throwIfNoEntry: false });
  const isInto = there?.isDirectory() === true;
  const cwd = resolve(isInto ? target : dirname(target));
  if (!isInto && target.endsWith('/')) throw new UsageError(`cp: "${target}" is no directory`);
  if (!statSync(cwd, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`cp: "${cwd}" is no directory`);
  const archive = new PassThrough();
  const unpacked = extractTree(archive, cwd, { rename: renamed(name, isInto ? name : basename(target)) });
  unpacked.catch((error: unknown) => archive.destroy(error as Error));
  // What tar has to say is why there was nothing to unpack.
  await archiveOf(container, path, archive);
  await unpacked;
}

/** `/a/b/.` is what is in `/a/b`. */
function splitSource(path: string): [directory: string, name: string] {
  if (path.endsWith('/.')) return [path, '.'];
  const clean = posix.normalize(path).replace(/(.)\/$/, '$1');
  return clean === '/' ? ['/', '.'] : [posix.dirname(clean), posix.basename(clean)];
}
