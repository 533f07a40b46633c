import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { step } from './report.mjs';
import { run } from './run.mjs';

/**
 * Installs the workspace's dependencies, exactly as the lockfile says, when they are missing or another lockfile's.
 * @param {string} repo
 * @param {NodeJS.ProcessEnv} env with Node 24 first on PATH
 */
export async function provideWorkspace(repo, env) {
  if (isInstalled(repo)) return;
  const { packageManager } = JSON.parse(readFileSync(join(repo, 'package.json'), 'utf8'));
  const options = [
    '--frozen-lockfile',
    // Without a terminal pnpm would refuse to replace a node_modules that it finds unfit.
    '--config.confirmModulesPurge=false',
    // npx brought the right version: pnpm need not record itself in the lockfile, which is frozen.
    '--config.pmOnFail=ignore',
  ];
  await step(`installing dependencies with ${packageManager}`, () =>
    run('npx', ['-y', packageManager, 'install', ...options], { cwd: repo, env }),
  );
}

/** pnpm leaves a copy of the lockfile that it installed, as its last step. */
function isInstalled(repo) {
  const installed = join(repo, 'node_modules/.pnpm/lock.yaml');
  return existsSync(installed) && readFileSync(installed).equals(readFileSync(join(repo, 'pnpm-lock.yaml')));
}
