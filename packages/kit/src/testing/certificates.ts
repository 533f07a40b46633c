import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TlsFiles } from '../grpc/credentials.ts';
import { scratchDirectory } from './scratch.ts';

/** A certificate authority of this test, made by openssl. */
export class TestAuthority {
  readonly #directory = scratchDirectory();
  readonly #caCert = join(this.#directory, 'ca.pem');
  readonly #caKey = join(this.#directory, 'ca.key');

  constructor() {
    this.#openssl(
      'req',
      '-x509',
      ...NEW_KEY,
      this.#caKey,
      '-out',
      this.#caCert,
      '-subj',
      '/CN=test authority',
    );
  }

  /** A certificate for 127.0.0.1, good for both ends. */
  issue(name: string): TlsFiles {
    const tlsKey = join(this.#directory, `${name}.key`);
    const tlsCert = join(this.#directory, `${name}.pem`);
    const request = join(this.#directory, `${name}.csr`);
    const extensions = join(this.#directory, `${name}.ext`);
    writeFileSync(extensions, 'subjectAltName=IP:127.0.0.1\n');
    this.#openssl('req', ...NEW_KEY, tlsKey, '-out', request, '-subj', `/CN=${name}`);
    this.#openssl(
      'x509',
      '-req',
      '-in',
      request,
      '-CA',
      this.#caCert,
      '-CAkey',
      this.#caKey,
      '-CAcreateserial',
      '-days',
      '1',
      '-extfile',
      extensions,
      '-out',
      tlsCert,
    );
    return { tlsCert, tlsKey, tlsCa: this.#caCert };
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { stdio: 'pipe' });
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout'];
