import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import { failedPrecondition, messageOf } from '@longshore/errors';
import type { TlsFiles } from './tls-files.ts';
import type { Warnings } from './warnings.ts';

/** How soon new files are taken up without being told; a look costs three calls of stat. */
const LOOK_EVERY_MS = 2_000;

/** What the three files hold, in PEM. A caller without a certificate of its own has an empty `cert` and `key`. */
export interface Pems {
  cert: Buffer;
  key: Buffer;
  ca: Buffer;
}

/**
 * The certificate, key and authorities of this process, by the paths of their files: one object for all that use
 * the same ones. New files are taken up while it is open, and only when the key belongs to the certificate.
 */
export class TlsIdentity {
  static readonly #shared = new Map<string, TlsIdentity>();
  readonly #files: TlsFiles;
  readonly #timer: NodeJS.Timeout;
  readonly #listeners = new Set<(pems: Pems) => void>();
  #users = 0;
  #log: Warnings | undefined;
  #stamps: string;
  #pems: Pems;
  #context: SecureContext;

  private constructor(files: TlsFiles) {
    this.#files = files;
    this.#stamps = stampsOf(files);
    this.#pems = readPems(files);
    this.#context = contextOf(this.#pems);
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  /** To be closed by each who opened it. Throws FailedPrecondition for files that are missing or do not fit. */
  static open(files: TlsFiles, log?: Warnings): TlsIdentity {
    const name = nameOf(files);
    const identity = TlsIdentity.#shared.get(name) ?? new TlsIdentity(files);
    TlsIdentity.#shared.set(name, identity);
    identity.#users++;
    identity.#log ??= log;
    return identity;
  }

  /** Takes up new files at once, for those who have just written them; nothing when nobody uses them. */
  static reload(files: TlsFiles): void {
    const identity = TlsIdentity.#shared.get(nameOf(files));
    if (identity) identity.#look();
  }

  get pems(): Pems {
    return this.#pems;
  }

  /** For connections that are made now. */
  get context(): SecureContext {
    return this.#context;
  }

  /** Calls back after each change; answers a function that ends it. */
  onChange(listener: (pems: Pems) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    if (--this.#users > 0) return;
    clearInterval(this.#timer);
    TlsIdentity.#shared.delete(nameOf(this.#files));
  }

  #look(): void {
    const stamps = stampsOf(this.#files);
    if (stamps === this.#stamps) return;
    // One warning for each state of the files; the last good ones stay in use.
    this.#stamps = stamps;
    try {
      const pems = readPems(this.#files);
      this.#context = contextOf(pems);
      this.#pems = pems;
    } catch (error) {
      this.#log?.warn({ files: this.#files.tlsCert, error: messageOf(error) }, 'new TLS files are no good');
      return;
    }
    for (const listener of this.#listeners) listener(this.#pems);
  }
}

function nameOf({ tlsCert, tlsKey, tlsCa }: TlsFiles): string {
  return [tlsCert, tlsKey, tlsCa].join('\0');
}

function stampsOf({ tlsCert, tlsKey, tlsCa }: TlsFiles): string {
  return [tlsCert, tlsKey, tlsCa].map(stampOf).join(' ');
}

/** Never throws: whoever reads a file that cannot be looked at says why. */
function stampOf(path: string): string {
  try {
    const { ino, mtimeNs, size } = statSync(path, { bigint: true });
    return `${ino}:${mtimeNs}:${size}`;
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}

function readPems({ tlsCert, tlsKey, tlsCa }: TlsFiles): Pems {
  const read = (path: string) => (path === '' ? Buffer.alloc(0) : readFileSync(path));
  try {
    return { cert: read(tlsCert), key: read(tlsKey), ca: readFileSync(tlsCa) };
  } catch (error) {
    throw failedPrecondition(`TLS files: ${messageOf(error)}`, { cause: error });
  }
}

function contextOf(pems: Pems): SecureContext {
  try {
    // OpenSSL passes over what is no certificate, and would trust nobody.
    for (const pem of certificatesOf(pems.ca)) new X509Certificate(pem);
    return createSecureContext(pems.cert.length > 0 ? pems : { ca: pems.ca });
  } catch (error) {
    throw failedPrecondition(`TLS files: ${messageOf(error)}`, { cause: error });
  }
}

function certificatesOf(ca: Buffer): string[] {
  const found = ca
    .toString('latin1')
    .match(/-----BEGIN CERTIFICATE-----[\s\S]*?(?:-----END CERTIFICATE-----|$)/g);
  if (!found) throw new Error('no certificate of an authority');
  return found;
}
