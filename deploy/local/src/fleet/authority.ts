import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { unavailable } from '@longshore/errors';
import type { TlsFiles } from '@longshore/transport';
import { serviceCommand } from '../service-unit.ts';
import type { Toolchain } from '../toolchain.ts';

/**
 * The operator's part in the fleet's security: certificates for services and people, made by the command of `runtime`
 * that is there for it. Nodes get theirs by joining.
 */
export class Authority {
  readonly #dir: string;
  readonly #env: NodeJS.ProcessEnv;

  /** `dir` gets the certificates; `authorityDir` is where `runtime` has its authority. */
  constructor(dir: string, authorityDir: string, tools: Toolchain) {
    this.#dir = dir;
    this.#env = { ...tools.env, LONGSHORE_CA_DIR: authorityDir };
  }

  /** What is there already is kept. Throws Unavailable with what the command said. */
  async issue(kind: 'service' | 'user', names: readonly string[], databaseUrl?: string): Promise<void> {
    const missing = names.filter((name) => !existsSync(this.#files(`${kind}/${name}`).tlsCert));
    if (missing.length === 0) return;
    const identities = missing.flatMap((name) => ['--identity', `${kind}/${name}`]);
    const args = ['ca', 'issue', ...identities, '--out', join(this.#dir, kind)];
    const [command = '', ...rest] = serviceCommand('runtime', args);
    // With the database, a certificate can be revoked by its identity.
    const env = { ...this.#env, ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }) };
    await promisify(execFile)(command, rest, { env }).catch((error) => {
      throw unavailable(`certificates of ${missing.join(', ')}: ${error.stderr}`, { cause: error });
    });
  }

  /** Certificate, key and authority of e.g. `service/content`, which has been issued. */
  service(name: string): TlsFiles {
    return this.#files(`service/${name}`);
  }

  /** Those of a person, issued when asked for the first time. */
  async user(name: string, databaseUrl: string): Promise<TlsFiles> {
    await this.issue('user', [name], databaseUrl);
    return this.#files(`user/${name}`);
  }

  #files(identity: string): TlsFiles {
    const [kind = '', name = ''] = identity.split('/');
    const path = (file: string) => join(this.#dir, kind, file);
    return { tlsCert: path(`${name}.crt`), tlsKey: path(`${name}.key`), tlsCa: path('ca.crt') };
  }
}
