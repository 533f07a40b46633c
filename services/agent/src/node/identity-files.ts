import { X509Certificate } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import type { TlsFiles } from '@longshore/transport';

/** What a node gets by joining. */
export interface Credentials {
  privateKey: string;
  /** Certificate chain, PEM. */
  certificate: string;
  /** Certificate authorities, PEM. */
  authorities: string;
}

const FILES = {
  key: 'node.key',
  certificate: 'node.crt',
  authorities: 'ca.crt',
  addresses: 'control-plane.json',
};
const LINK = 'identity';

/**
 * The directory `<root>/identity`. It is a link to the directory that holds the files: a change makes a new one and moves
 * the link, so that key and certificate change together, or not at all.
 */
export class IdentityFiles {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  get tlsFiles(): TlsFiles {
    return {
      tlsCert: this.#path(FILES.certificate),
      tlsKey: this.#path(FILES.key),
      tlsCa: this.#path(FILES.authorities),
    };
  }

  /** Undefined for a node that has not joined. */
  certificate(): X509Certificate | undefined {
    const pem = read(this.#path(FILES.certificate));
    return pem === undefined ? undefined : new X509Certificate(pem);
  }

  /** When the certificate was put in place, by this machine's clock. */
  savedAtMs(): number {
    return statSync(this.#path(FILES.certificate)).mtimeMs;
  }

  /** Where each service of the control plane is reached, as told at the join; empty for a node that has not joined. */
  addresses(): Record<string, string> {
    return JSON.parse(read(this.#path(FILES.addresses)) ?? '{}') as Record<string, string>;
  }

  /** Puts everything in place at once; what was there is removed. */
  save(credentials: Credentials, addresses: Record<string, string>): void {
    mkdirSync(this.#root, { recursive: true, mode: 0o711 });
    const directory = mkdtempSync(join(this.#root, `${LINK}.`));
    try {
      this.#fill(directory, credentials, addresses);
      const link = join(this.#root, LINK);
      rmSync(`${link}.new`, { force: true });
      symlinkSync(basename(directory), `${link}.new`);
      renameSync(`${link}.new`, link);
    } catch (error) {
      // The disk may be full, and this is tried again and again.
      rmSync(directory, { recursive: true });
      throw error;
    }
    this.#removeOthers();
  }

  #fill(directory: string, credentials: Credentials, addresses: Record<string, string>): void {
    const write = (name: string, text: string, mode: number) =>
      writeFileSync(join(directory, name), text, { mode, flush: true });
    write(FILES.key, credentials.privateKey, 0o600);
    write(FILES.certificate, credentials.certificate, 0o644);
    write(FILES.authorities, credentials.authorities, 0o644);
    write(FILES.addresses, `${JSON.stringify(addresses, null, 2)}\n`, 0o644);
  }

  /** Directories that earlier changes, finished or not, have left. */
  #removeOthers(): void {
    const current = readlinkSync(join(this.#root, LINK));
    for (const name of readdirSync(this.#root)) {
      if (name.startsWith(`${LINK}.`) && name !== current)
        rmSync(join(this.#root, name), { recursive: true });
    }
  }

  #path(name: string): string {
    return join(this.#root, LINK, name);
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
