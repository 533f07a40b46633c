import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { aptCache, aptGet } from './apt.mjs';
import { SetUpError, step } from './report.mjs';
import { tryRun } from './run.mjs';

const VERSIONS = '/usr/lib/postgresql';
const OLDEST_MAJOR = 14;
const POLICY = '/usr/sbin/policy-rc.d';
const POLICY_MARK = '# temporary, by the set-up of longshore';
/** Where dpkg, or ucf in its place, puts its own version of a configuration file that is there already. */
const PACKAGED_SUFFIXES = ['.ucf-dist', '.dpkg-dist'];
const CREATE_CLUSTER = '/etc/postgresql-common/createcluster.conf';

/**
 * The directory of a Postgres server's programs: one that is there, else Debian's is installed, without starting
 * anything and without a default cluster. (A server cannot be unpacked privately: it refuses to run as root and needs
 * its own system user.)
 * @returns {Promise<string>}
 */
export async function providePostgres() {
  removeStalePolicy();
  const found = newestServer();
  if (found !== undefined && (await hasUser())) return found;
  await step("installing Debian's postgresql (no daemon is started, no cluster made)", install);
  const installed = newestServer();
  if (installed === undefined) throw new SetUpError(`no Postgres ${OLDEST_MAJOR} or newer in ${VERSIONS}`);
  return installed;
}

function newestServer() {
  if (!existsSync(VERSIONS)) return undefined;
  const majors = readdirSync(VERSIONS)
    .map(Number)
    .filter((major) => major >= OLDEST_MAJOR)
    .sort((a, b) => b - a);
  const isWhole = (dir) => ['postgres', 'initdb'].every((program) => existsSync(join(dir, program)));
  return majors.map((major) => join(VERSIONS, String(major), 'bin')).find(isWhole);
}

async function hasUser() {
  return (await tryRun('id', ['-u', 'postgres'])).code === 0;
}

async function install() {
  const name = await serverPackage();
  const forbidsClusters = forbidDefaultCluster();
  const forbidsDaemons = forbidDaemons();
  try {
    // --force-confold: the file that forbids a cluster is one of the package's own.
    const options = ['--no-remove', '--no-install-recommends', '-o', 'Dpkg::Options::=--force-confold'];
    await aptGet(['install', ...options, name], { mustFinish: true });
  } finally {
    if (forbidsDaemons) rmSync(POLICY, { force: true });
    if (forbidsClusters) allowDefaultCluster();
  }
}

/** The versioned package behind `postgresql`, whose own script does nothing but depend on it. */
async function serverPackage() {
  const depends = await aptCache(['depends', 'postgresql']);
  const name = /^\s*Depends: (postgresql-\d+)$/m.exec(depends)?.[1];
  if (name === undefined)
    throw new SetUpError(`Debian's package "postgresql" names no server:\n  ${depends}`);
  return name;
}

/** Post-install scripts ask policy-rc.d whether they may start their daemon; 101 says no. */
function forbidDaemons() {
  if (existsSync(POLICY)) return false;
  writeFileSync(POLICY, `#!/bin/sh\n${POLICY_MARK}\nexit 101\n`);
  chmodSync(POLICY, 0o755);
  return true;
}

/** What a set-up that was killed left behind. Ours alone: its holder would hold the lock. */
function removeStalePolicy() {
  if (existsSync(POLICY) && readFileSync(POLICY, 'utf8').includes(POLICY_MARK)) rmSync(POLICY);
}

function forbidDefaultCluster() {
  if (existsSync(CREATE_CLUSTER)) return false;
  mkdirSync(dirname(CREATE_CLUSTER), { recursive: true });
  writeFileSync(CREATE_CLUSTER, 'create_main_cluster = false\n');
  return true;
}

/** Puts the package's own file in the place of ours; there is none when the installation failed. */
function allowDefaultCluster() {
  const packaged = PACKAGED_SUFFIXES.map((suffix) => CREATE_CLUSTER + suffix).find((path) =>
    existsSync(path),
  );
  if (packaged !== undefined) renameSync(packaged, CREATE_CLUSTER);
  else rmSync(CREATE_CLUSTER, { force: true });
}
