import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsePeer, peerUri, serialOf } from '../peer.ts';
import type { TlsFiles } from '../tls-files.ts';
import { scratchDirectory } from './scratch.ts';

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout'];

/** A certificate authority of this test, made by openssl. */
export class TestAuthority {
  readonly #directory: string;
  readonly #caCert: string;
  readonly #caKey: string;

  /** `directory` is the caller's to remove; without one, it is the running test's. */
  constructor(directory = scratchDirectory()) {
    this.#directory = directory;
    this.#caCert = join(directory, 'ca.crt');
    this.#caKey = join(directory, 'ca.key');
    openssl('req', '-x509', ...NEW_KEY, this.#caKey, '-out', this.#caCert, '-subj', '/CN=test authority');
  }

  /**
   * A certificate, good for both ends, for e.g. `service/content`, `node/n1` or `user/alice`. Asked again for the same
   * identity, it puts new files in the place of the old, as a renewal does.
   */
  issue(identity: string): TlsFiles {
    return this.issueFor([`URI:${peerUri(parsePeer(identity))}`], identity.replace('/', '-'));
  }

  /** A certificate with these subject alternative names, e.g. `URI:spiffe://other/x`. */
  issueFor(names: string[], file: string): TlsFiles {
    const path = (suffix: string) => join(this.#directory, `${file}.${suffix}`);
    const [tlsCert, tlsKey] = [path('crt'), path('key')];
    // A section of its own: a name may hold a comma there.
    const section = names.map((name, index) => name.replace(':', `.${index}=`));
    writeFileSync(path('ext'), ['subjectAltName=@names', '[names]', ...section, ''].join('\n'));
    openssl('req', ...NEW_KEY, `${tlsKey}.new`, '-out', path('csr'), '-subj', '/CN=test');
    const authority = ['-CA', this.#caCert, '-CAkey', this.#caKey, '-CAcreateserial', '-days', '1'];
    const request = ['x509', '-req', '-in', path('csr'), '-extfile', path('ext')];
    openssl(...request, ...authority, '-out', `${tlsCert}.new`);
    renameSync(`${tlsKey}.new`, tlsKey);
    renameSync(`${tlsCert}.new`, tlsCert);
    return { tlsCert, tlsKey, tlsCa: this.#caCert };
  }
}

/** The serial number of the certificate in `files`, as revocations list it. */
export function serialOfFile({ tlsCert }: TlsFiles): string {
  return serialOf(new X509Certificate(readFileSync(tlsCert)));
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}
