import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failedPrecondition, messageOf } from '@longshore/errors';
import type { Environment } from '../host.ts';

/** The part of Docker's config.json that is about registries; the rest is kept as it is. */
export interface DockerConfig {
  auths?: Record<string, { auth?: string; identitytoken?: string }>;
  /** Program for all registries; by registry. */
  credsStore?: string;
  credHelpers?: Record<string, string>;
}

/** As Docker calls Docker Hub in its file. */
const DOCKER_HUB_KEY = 'https://index.docker.io/v1/';

export function dockerConfigPath(env: Environment): string {
  return join(env.DOCKER_CONFIG || join(env.HOME || '/root', '.docker'), 'config.json');
}

/** A file that is not there is an empty one. Throws FailedPrecondition for one that is no JSON object. */
export async function readDockerConfig(path: string): Promise<DockerConfig> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
    throw new Error('no JSON object');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw failedPrecondition(`credentials in ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Whole or not at all, and for its owner only. */
export async function writeDockerConfig(path: string, config: DockerConfig): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.new`;
  await writeFile(temporary, `${JSON.stringify(config, undefined, '\t')}\n`, { mode: 0o600 });
  await rename(temporary, path);
}

/** What the file calls a registry. */
export function keyOf(host: string): string {
  return host === 'docker.io' ? DOCKER_HUB_KEY : host;
}

/** The host of references that a person, or another program's entry, means: `https://ghcr.io/v2/` is `ghcr.io`. */
export function hostOf(text: string): string {
  const host = text.replace(/^https?:\/\//, '').split('/', 1)[0]!;
  return ['index.docker.io', 'registry-1.docker.io', 'hub.docker.com'].includes(host) ? 'docker.io' : host;
}

/** The program that keeps the credentials of a registry; undefined when the file itself does. */
export function helperOf(config: DockerConfig, host: string): string | undefined {
  const own = Object.entries(config.credHelpers ?? {}).find(([key]) => hostOf(key) === host);
  return own?.[1] || config.credsStore || undefined;
}
