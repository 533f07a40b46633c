import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { step } from './report.mjs';
import { run } from './run.mjs';

/**
 * Does a step of the set-up in a directory of its own below `store`, which is gone afterwards.
 * @template T
 * @param {string} store
 * @param {string} title
 * @param {(scratch: string) => Promise<T>} work
 */
export async function inScratch(store, title, work) {
  const scratch = mkdtempSync(join(store, '.new-'));
  // apt fetches as its own user, and warns when that one cannot write here.
  chmodSync(scratch, 0o755);
  try {
    return await step(title, () => work(scratch));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * Unpacks the packages that were downloaded into a directory, without installing them.
 * @param {string} scratch
 * @returns {Promise<string>} the root of the tree
 */
export async function unpackAll(scratch) {
  const tree = join(scratch, 'tree');
  const packages = readdirSync(scratch).filter((entry) => entry.endsWith('.deb'));
  for (const file of packages) await run('dpkg-deb', ['-x', join(scratch, file), tree]);
  return tree;
}
