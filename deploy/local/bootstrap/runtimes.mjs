import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aptGet } from './apt.mjs';
import { unpackFromSuite } from './later-suite.mjs';
import { inScratch, unpackAll } from './private-packages.mjs';
import { SetUpError } from './report.mjs';

const SHIM = 'containerd-shim-runc-v2';

/** Debian's suites after this machine's, by the containerd whose shim they have; it needs libc alone. */
const SUITES = { 1.7: 'trixie', '2.x': 'forky' };

/**
 * Runtimes that only the tests run: the shims of later containerds, and crun. Unpacked below the cache.
 * @param {string} cache
 * @returns {Promise<{ shims: Record<string, string>, crun: string }>} absolute paths, which are also in
 *   `<cache>/runtimes.json`
 */
export async function provideRuntimes(cache) {
  const record = join(cache, 'runtimes.json');
  const found = recorded(record);
  if (found !== undefined) return found;
  const store = join(cache, 'debs');
  mkdirSync(store, { recursive: true });
  const shims = {};
  for (const [version, suite] of Object.entries(SUITES)) shims[version] = await provideShim(store, suite);
  const runtimes = { shims, crun: await provideCrun(store) };
  writeFileSync(`${record}.${process.pid}`, `${JSON.stringify(runtimes, null, 2)}\n`);
  renameSync(`${record}.${process.pid}`, record);
  return runtimes;
}

function recorded(record) {
  if (!existsSync(record)) return undefined;
  const runtimes = JSON.parse(readFileSync(record, 'utf8'));
  const isWhole = Object.keys(SUITES).every((version) => existsSync(runtimes.shims?.[version] ?? ''));
  return isWhole && existsSync(runtimes.crun) ? runtimes : undefined;
}

async function provideShim(store, suite) {
  const shim = join(store, `containerd-of-${suite}`, SHIM);
  if (existsSync(shim)) return shim;
  const title = `getting the shim of Debian ${suite}'s containerd, for the tests`;
  return await inScratch(store, title, async (scratch) => {
    const tree = await unpackFromSuite(scratch, suite, ['containerd']);
    const found = join(tree, 'usr/bin', SHIM);
    if (!existsSync(found)) throw new SetUpError(`containerd of Debian ${suite} lacks ${SHIM}`);
    mkdirSync(join(scratch, 'kept'));
    renameSync(found, join(scratch, 'kept', SHIM));
    renameSync(join(scratch, 'kept'), join(shim, '..'));
    return shim;
  });
}

/** crun finds its library by a wrapper. */
async function provideCrun(store) {
  const crun = join(store, 'crun/crun');
  if (existsSync(crun)) return crun;
  return await inScratch(store, "getting Debian's crun, for the tests", async (scratch) => {
    await aptGet(['download', 'crun', 'libyajl2'], { cwd: scratch });
    const tree = await unpackAll(scratch);
    const libraries = readdirSync(join(tree, 'usr/lib')).map((name) => join(store, 'crun/usr/lib', name));
    const program = join(store, 'crun/usr/bin/crun');
    const words = `#!/bin/sh\nLD_LIBRARY_PATH=${libraries.join(':')} exec ${program} "$@"\n`;
    writeFileSync(join(tree, 'crun'), words, { mode: 0o755 });
    rmSync(join(store, 'crun'), { recursive: true, force: true });
    renameSync(tree, join(store, 'crun'));
    return crun;
  });
}
