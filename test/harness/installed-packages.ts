import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Packs what is published and installs the tarballs in an empty directory, as npm would: what a package declares is what it finds. What is not ours
 * comes from the workspace instead of a registry.
 */
export function installPacked(directory: string): void {
  const tarballs = join(directory, 'tarballs');
  const pack = [join(REPOSITORY, 'deploy/npm/pack.ts'), tarballs];
  const packed = execFileSync(process.execPath, pack, { encoding: 'utf8' }).trim().split('\n');
  for (const tarball of packed) install(directory, tarball);
  rmSync(tarballs, { recursive: true });
  writeFileSync(join(directory, 'package.json'), '{ "private": true, "type": "module" }\n');
}

function install(directory: string, tarball: string): void {
  const unpacked = join(directory, 'package');
  execFileSync('tar', ['xzf', tarball, '-C', directory]);
  const { name, dependencies } = JSON.parse(readFileSync(join(unpacked, 'package.json'), 'utf8')) as {
    name: string;
    dependencies: Record<string, string>;
  };
  const place = join(directory, 'node_modules', name);
  mkdirSync(dirname(place), { recursive: true });
  renameSync(unpacked, place);
  const workspace = join(REPOSITORY, 'packages', name.replace('@longshore/', ''), 'node_modules');
  for (const other of Object.keys(dependencies ?? {}).filter((each) => !each.startsWith('@longshore/'))) {
    const link = join(place, 'node_modules', other);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(realpathSync(join(workspace, other)), link);
  }
}
