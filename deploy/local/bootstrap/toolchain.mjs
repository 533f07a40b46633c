import { renameSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { providePackages } from './debian-packages.mjs';
import { recommendIgzip } from './igzip.mjs';
import { provideIp } from './ip-tool.mjs';
import { fullPath } from './machine.mjs';
import { providePostgres } from './postgres-server.mjs';

/**
 * Provides everything that is not from npm, and records where it is in `<cache>/toolchain.json`, which
 * `src/toolchain.ts` reads.
 * @param {string} cache
 */
export async function provideToolchain(cache) {
  const postgresBin = await providePostgres();
  const binaries = { ...(await providePackages(cache)), ip: await provideIp() };
  await recommendIgzip(cache);
  const toolchain = { binaries, postgresBin };
  const path = join(cache, 'toolchain.json');
  writeFileSync(`${path}.${process.pid}`, `${JSON.stringify(toolchain, null, 2)}\n`);
  renameSync(`${path}.${process.pid}`, path);
  return toolchain;
}

/**
 * The environment of everything that is started: the right Node first on PATH, then our tools, then the machine's.
 * @param {string} cache
 * @param {string} nodeDir
 * @param {{ binaries: Record<string, string> } | undefined} toolchain
 */
export function childEnvironment(cache, nodeDir, toolchain) {
  const tools = Object.values(toolchain?.binaries ?? {}).map((path) => dirname(path));
  return {
    ...process.env,
    PATH: [nodeDir, ...new Set(tools), fullPath()].join(delimiter),
    LONGSHORE_CACHE: cache,
    NODE_COMPILE_CACHE: join(cache, 'compile-cache'),
  };
}
