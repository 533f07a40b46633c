import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { aptGet } from './apt.mjs';
import { SetUpError, step } from './report.mjs';
import { run, tryRun } from './run.mjs';

/**
 * The binaries that come out of each package. They are unpacked, not installed: installing would start daemons and,
 * for containerd, can remove the one that Docker brought. What they link to, libc and libseccomp, apt itself needs.
 */
const PACKAGES = {
  containerd: {
    containerd: 'usr/bin/containerd',
    ctr: 'usr/bin/ctr',
    'containerd-shim-runc-v2': 'usr/bin/containerd-shim-runc-v2',
  },
  runc: { runc: 'usr/sbin/runc' },
  'nats-server': { 'nats-server': 'usr/sbin/nats-server' },
  'docker-registry': { 'docker-registry': 'usr/bin/docker-registry' },
  'busybox-static': { busybox: 'bin/busybox' },
};

/**
 * Finds each package installed on the machine or unpacked in the cache, and unpacks there those that are neither.
 * @param {string} cache
 * @returns {Promise<Record<string, string>>} absolute path of each binary
 */
export async function providePackages(cache) {
  const store = join(cache, 'debs');
  mkdirSync(store, { recursive: true });
  const installed = await installedPackages(Object.keys(PACKAGES));
  const find = (name) => findPackage(store, installed, name);
  const missing = Object.keys(PACKAGES).filter((name) => find(name) === undefined);
  if (missing.length > 0) await unpack(store, missing);

  const binaries = {};
  for (const [name, files] of Object.entries(PACKAGES)) {
    const base = find(name);
    if (base === undefined)
      throw new SetUpError(`Debian's package ${name} lacks ${Object.values(files).join(', ')}`);
    for (const [binary, path] of Object.entries(files)) binaries[binary] = join(base, path);
  }
  return binaries;
}

async function installedPackages(names) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: these placeholders are dpkg-query's.
  const format = '${Package} ${db:Status-Abbrev}\\n';
  const { stdout } = await tryRun('dpkg-query', ['-W', '-f', format, ...names]);
  const lines = stdout.split('\n').filter((line) => line.trim().endsWith(' ii'));
  return new Set(lines.map((line) => line.split(' ')[0]));
}

function findPackage(store, installed, name) {
  const isWhole = (base) => Object.values(PACKAGES[name]).every((path) => existsSync(join(base, path)));
  if (installed.has(name) && isWhole('/')) return '/';
  return unpackedDirs(store, name).find(isWhole);
}

function unpackedDirs(store, name) {
  return readdirSync(store)
    .filter((dir) => dir.startsWith(`${name}_`))
    .map((dir) => join(store, dir));
}

async function unpack(store, names) {
  const temporary = mkdtempSync(join(store, '.new-'));
  // apt fetches as its own user, and warns when that one cannot write here.
  chmodSync(temporary, 0o755);
  try {
    await step(`getting Debian's ${names.join(', ')} (unpacked privately, not installed)`, async () => {
      await aptGet(['download', ...names], { cwd: temporary });
      for (const file of readdirSync(temporary).filter((entry) => entry.endsWith('.deb'))) {
        const tree = join(temporary, 'tree');
        await run('dpkg-deb', ['-x', join(temporary, file), tree]);
        renameSync(tree, join(store, treeName(file)));
      }
    });
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** `busybox-static_1%3a1.35.0-4_amd64.deb` becomes `busybox-static_1.35.0-4`: a colon would split a PATH. */
function treeName(file) {
  const [name, version] = decodeURIComponent(file).split('_');
  return `${name}_${version.replace(/^\d+:/, '')}`;
}
