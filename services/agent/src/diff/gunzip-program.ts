import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/**
 * Intel's, of Debian's package `isal`: an image takes a tenth less CPU than with Node's own zlib, the pipe included; with `unpigz` it takes more
 * (`npm run bench -- unpack`).
 */
const PROGRAM = 'igzip';

/** The path of a program that decompresses gzip from its standard input; undefined where this host has none. */
export async function findGunzip(searchPath: string): Promise<string | undefined> {
  for (const directory of searchPath.split(delimiter).filter((entry) => entry.startsWith('/'))) {
    const path = join(directory, PROGRAM);
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  return undefined;
}
