import { existsSync, readFileSync } from 'node:fs';
import { delimiter } from 'node:path';
import { SetUpError } from './report.mjs';
import { tryRun } from './run.mjs';

const ARCHITECTURES = ['x64', 'arm64'];

/** Throws a SetUpError that says what is missing when longshore cannot be set up on this machine. */
export async function checkMachine() {
  if (process.platform !== 'linux') {
    throw new SetUpError(`runs containers, so it needs Linux; this is ${process.platform}`);
  }
  if (!ARCHITECTURES.includes(process.arch)) {
    throw new SetUpError(`is made for ${ARCHITECTURES.join(' and ')}; this machine is ${process.arch}`);
  }
  if (process.getuid?.() !== 0) {
    throw new SetUpError(
      'mounts file systems and starts containers, so it must be run as root: try "sudo npm start"',
    );
  }
  const missing = ['apt-get', 'dpkg-deb', 'dpkg-query'].filter((command) => !isOnPath(command));
  if (missing.length > 0) {
    throw new SetUpError(`takes what it needs from Debian's packages; not found here: ${missing.join(', ')}`);
  }
  if (!/ - cgroup2? /.test(readFileSync('/proc/self/mountinfo', 'utf8'))) {
    throw new SetUpError('needs cgroups, and none are mounted (usually below /sys/fs/cgroup)');
  }
  if (!(await kernelHasOverlay())) {
    throw new SetUpError(
      'needs overlayfs, which this kernel lacks (neither in /proc/filesystems nor as a module)',
    );
  }
}

/** A PATH with the system's administration directories, which `su` and cron leave out. */
export function fullPath() {
  const have = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  const system = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
  return [...have, ...system.filter((dir) => !have.includes(dir))].join(delimiter);
}

function isOnPath(command) {
  return fullPath()
    .split(delimiter)
    .some((dir) => existsSync(`${dir}/${command}`));
}

async function kernelHasOverlay() {
  const known = () => readFileSync('/proc/filesystems', 'utf8').split('\n').includes('nodev\toverlay');
  if (known()) return true;
  await tryRun('modprobe', ['overlay']);
  return known();
}
