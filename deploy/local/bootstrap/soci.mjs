import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { unpackFromSuite } from './later-suite.mjs';
import { inScratch } from './private-packages.mjs';
import { SetUpError } from './report.mjs';

/** The first suite that has it. It needs libc alone. */
const SUITE = 'trixie';
const PROGRAMS = ['soci', 'soci-snapshotter-grpc'];

/**
 * A snapshotter that fetches layers as they are read, for the tests, and its client: both in `<cache>/debs/soci/usr/bin`.
 * Debian's `stargz-snapshotter` has a client alone.
 * @param {string} cache
 */
export async function provideSoci(cache) {
  const store = join(cache, 'debs');
  const place = join(store, 'soci');
  if (isWhole(place)) return;
  mkdirSync(store, { recursive: true });
  await inScratch(store, "getting Debian's soci-snapshotter, for the tests", async (scratch) => {
    const tree = await unpackFromSuite(scratch, SUITE, ['soci-snapshotter']);
    if (!isWhole(tree))
      throw new SetUpError(`soci-snapshotter of Debian ${SUITE} lacks one of ${PROGRAMS.join(', ')}`);
    rmSync(place, { recursive: true, force: true });
    renameSync(tree, place);
  });
}

function isWhole(root) {
  return PROGRAMS.every((program) => existsSync(join(root, 'usr/bin', program)));
}
