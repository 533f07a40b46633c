import type { CredentialSource, Credentials } from '@longshore/registry';
import type { Environment } from '../host.ts';
import { askHelper } from './credential-helper.ts';
import {
  type DockerConfig,
  dockerConfigPath,
  helperOf,
  hostOf,
  keyOf,
  readDockerConfig,
  writeDockerConfig,
} from './docker-config.ts';

/** A helper answers with this name for a token that stands for the password. Source: docker/cli cli/config/credentials. */
const TOKEN_USER = '<token>';

/** What "longshore login", or Docker's, has kept; read when a registry asks. */
export function credentialSource(env: Environment): CredentialSource {
  return async ({ host }) => credentialsFor(await readDockerConfig(dockerConfigPath(env)), host);
}

export async function credentialsFor(config: DockerConfig, host: string): Promise<Credentials | undefined> {
  const helper = helperOf(config, host);
  if (helper !== undefined) return helpersAnswer(await askHelper(helper, 'get', keyOf(host)));
  const entry = Object.entries(config.auths ?? {}).find(([key]) => hostOf(key) === host)?.[1];
  if (entry?.identitytoken) return { kind: 'refresh', token: entry.identitytoken };
  return entry?.auth ? decoded(entry.auth) : undefined;
}

/** Keeps a password where Docker would, in place of what was kept for this registry. */
export async function keepPassword(
  env: Environment,
  host: string,
  username: string,
  password: string,
): Promise<string> {
  const path = dockerConfigPath(env);
  const config = await readDockerConfig(path);
  const helper = helperOf(config, host);
  const auths = withoutHost(config.auths, host);
  if (helper !== undefined) {
    await askHelper(
      helper,
      'store',
      JSON.stringify({ ServerURL: keyOf(host), Username: username, Secret: password }),
    );
    // Docker marks so which registries the program knows.
    auths[keyOf(host)] = {};
  } else {
    auths[keyOf(host)] = { auth: Buffer.from(`${username}:${password}`).toString('base64') };
  }
  await writeDockerConfig(path, { ...config, auths });
  return helper === undefined ? path : `docker-credential-${helper}`;
}

/** Answers whether anything was kept. */
export async function forget(env: Environment, host: string): Promise<boolean> {
  const path = dockerConfigPath(env);
  const config = await readDockerConfig(path);
  const helper = helperOf(config, host);
  const auths = withoutHost(config.auths, host);
  const isKnown = Object.keys(auths).length < Object.keys(config.auths ?? {}).length;
  if (helper !== undefined && isKnown) await askHelper(helper, 'erase', keyOf(host));
  if (isKnown) await writeDockerConfig(path, { ...config, auths });
  return isKnown;
}

function withoutHost(auths: DockerConfig['auths'], host: string): NonNullable<DockerConfig['auths']> {
  return Object.fromEntries(Object.entries(auths ?? {}).filter(([key]) => hostOf(key) !== host));
}

function helpersAnswer(answer: string | undefined): Credentials | undefined {
  if (answer === undefined) return undefined;
  const { Username: username, Secret: secret } = JSON.parse(answer) as Record<string, string>;
  if (!username || !secret) return undefined;
  return username === TOKEN_USER
    ? { kind: 'refresh', token: secret }
    : { kind: 'password', username, password: secret };
}

function decoded(auth: string): Credentials | undefined {
  const text = Buffer.from(auth, 'base64').toString();
  const colon = text.indexOf(':');
  if (colon < 0) return undefined;
  return {
    kind: 'password',
    username: text.slice(0, colon),
    password: text.slice(colon + 1).replace(/\0+$/, ''),
  };
}
