import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aptGet } from './apt.mjs';
import { inScratch, unpackAll } from './private-packages.mjs';
import { SetUpError } from './report.mjs';

const PACKAGES = ['ceph-mon', 'ceph-osd', 'ceph-common', 'ceph-base', 'radosgw'];

/** All that a private S3 server takes; the packages bring four times as much. None of them needs Python. */
const PROGRAMS = ['ceph-authtool', 'ceph-mon', 'ceph-osd', 'monmaptool', 'radosgw', 'radosgw-admin'];

/**
 * Ceph's S3 server, for the tests: unpacked below the cache with the libraries that this machine lacks. Installing it
 * would make users, directories and units.
 * @param {string} cache
 * @returns {Promise<string>} the root of the unpacked tree, which is also in `<cache>/ceph.json`
 */
export async function provideCeph(cache) {
  const record = join(cache, 'ceph.json');
  const found = recorded(record);
  if (found !== undefined) return found;
  const store = join(cache, 'debs');
  mkdirSync(store, { recursive: true });
  const root = await unpack(store);
  writeFileSync(`${record}.${process.pid}`, `${JSON.stringify({ root }, null, 2)}\n`);
  renameSync(`${record}.${process.pid}`, record);
  return root;
}

function recorded(record) {
  if (!existsSync(record)) return undefined;
  const { root } = JSON.parse(readFileSync(record, 'utf8'));
  return isWhole(root) ? root : undefined;
}

function isWhole(root) {
  return PROGRAMS.every((program) => existsSync(join(root, 'usr/bin', program)));
}

function unpack(store) {
  const title = "getting Debian's ceph, an S3 server for the tests (unpacked privately)";
  return inScratch(store, title, async (scratch) => {
    await aptGet(['download', ...PACKAGES, ...(await missingLibraries())], { cwd: scratch });
    const tree = await unpackAll(scratch);
    prune(tree);
    if (!isWhole(tree)) throw new SetUpError(`Debian's packages of ceph lack one of ${PROGRAMS.join(', ')}`);
    const root = join(store, 'ceph');
    rmSync(root, { recursive: true, force: true });
    renameSync(tree, root);
    return root;
  });
}

/** What apt would install beside them. Only libraries: the rest are programs for disks, and Python. */
async function missingLibraries() {
  const { stdout } = await aptGet(['install', '--simulate', '--no-install-recommends', ...PACKAGES]);
  const names = [...stdout.matchAll(/^Inst (lib\S+)/gm)].map((match) => match[1]);
  return names.filter((name) => !PACKAGES.includes(name));
}

function prune(tree) {
  const programs = join(tree, 'usr/bin');
  for (const name of readdirSync(programs)) {
    if (!PROGRAMS.includes(name)) rmSync(join(programs, name), { recursive: true });
  }
  for (const path of ['usr/share', 'etc', 'var']) rmSync(join(tree, path), { recursive: true, force: true });
}
