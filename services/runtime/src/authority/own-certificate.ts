import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { newKeyPair, type TlsFiles, TlsIdentity } from '@longshore/transport';
import type { Issuer } from './issuer.ts';
import { replaceFile } from './replace-file.ts';

const RETRY_MS = 60_000;
/** Longer timers overflow, and fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * The certificate of this service, which has the authority at hand: made at each start, renewed after two thirds of its
 * time. Files below the state directory, as everything that serves TLS takes paths.
 */
export class OwnCertificate {
  /** For listening and calling. */
  readonly files: TlsFiles;
  /** The same, with a chain that ends with the root: joining machines know nothing but its fingerprint. */
  readonly joinFiles: TlsFiles;
  readonly #issuer: Issuer;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;

  private constructor(directory: string, issuer: Issuer, log: Logger) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const [tlsKey, tlsCa] = [join(directory, 'tls.key'), join(directory, 'ca.crt')];
    this.files = { tlsCert: join(directory, 'tls.crt'), tlsKey, tlsCa };
    this.joinFiles = { tlsCert: join(directory, 'join.crt'), tlsKey, tlsCa };
    this.#issuer = issuer;
    this.#log = log;
  }

  static async open(directory: string, issuer: Issuer, log: Logger): Promise<OwnCertificate> {
    const own = new OwnCertificate(directory, issuer, log);
    await own.#renew();
    return own;
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  async #renew(): Promise<void> {
    const { privateKey, certificateRequest } = await newKeyPair();
    const { chain, notAfter } = await this.#issuer.issue(
      { kind: 'service', name: 'runtime' },
      certificateRequest,
    );
    const { authority } = this.#issuer;
    replaceFile(this.files.tlsKey, privateKey, 0o600);
    replaceFile(this.files.tlsCa, authority.authorities, 0o644);
    replaceFile(this.files.tlsCert, chain, 0o644);
    replaceFile(this.joinFiles.tlsCert, authority.withRoot(chain), 0o644);
    TlsIdentity.reload(this.files);
    TlsIdentity.reload(this.joinFiles);
    this.#renewIn(((notAfter.getTime() - Date.now()) * 2) / 3);
  }

  #renewIn(ms: number): void {
    const renew = () =>
      this.#renew().catch((error) => {
        this.#log.warn({ error: messageOf(error) }, 'own certificate cannot be renewed');
        this.#renewIn(RETRY_MS);
      });
    this.#timer = setTimeout(() => void renew(), Math.min(Math.max(ms, 1000), MAX_TIMER_MS)).unref();
  }
}
