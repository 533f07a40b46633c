import { internal, LongshoreError } from '@longshore/errors';
import type { Opened } from '@longshore/registry';
import { checkServer, type Revocations, SERVER_NAME, type TlsFiles, TlsIdentity } from '@longshore/transport';
import type { Agent } from 'undici';

/** A server that says nothing for so long has lost the connection, in milliseconds. */
const SILENCE_MS = 20_000;
const CONNECTIONS = 4;
/** Takes some 30 MB, which a node that reads blobs as files is spared. */
const loadUndici = () => import('undici');
/** Who may answer for a blob's URL. */
const SERVER = 'service/content';

/** Reads blobs by the URLs that the content service signs. URLs are secrets: no error holds one. */
export class BlobUrls {
  readonly #identity: TlsIdentity | undefined;
  readonly #revocations: Revocations | undefined;
  readonly #onRead: () => void;
  #agent: Agent | undefined;

  /** `tls` with empty paths: this node is not part of a fleet, and reads no URLs. */
  constructor(tls: TlsFiles, revocations?: Revocations, onRead = () => {}) {
    this.#revocations = revocations;
    this.#onRead = onRead;
    if (!tls.tlsCa) return;
    this.#identity = TlsIdentity.open(tls);
    this.#identity.onChange(() => this.#forget());
  }

  get isUsable(): boolean {
    return this.#identity !== undefined;
  }

  /** Throws Unavailable for an answer that is not the blob, e.g. because the URL has expired. */
  async open(url: string, offsetBytes: number, signal: AbortSignal | undefined): Promise<Opened> {
    if (!url.startsWith('https:')) throw internal('URL of a blob is not HTTPS');
    this.#onRead();
    const undici = await loadUndici();
    const { statusCode, body } = await undici.request(url, {
      dispatcher: this.#connected(undici),
      headers: offsetBytes > 0 ? { range: `bytes=${offsetBytes}-` } : {},
      ...(signal && { signal }),
    });
    if (statusCode === 200) return { startBytes: 0, bytes: body };
    if (statusCode === 206) return { startBytes: offsetBytes, bytes: body };
    await body.dump();
    throw new LongshoreError('Unavailable', `URL of a blob was answered with ${statusCode}: unavailable`);
  }

  async close(): Promise<void> {
    this.#identity?.close();
    await this.#agent?.destroy();
  }

  #connected(undici: typeof import('undici')): Agent {
    if (!this.#identity) throw internal('URL of a blob needs TLS files');
    const { ca, cert, key } = this.#identity.pems;
    const checkServerIdentity = checkServer({ expect: SERVER, revocations: this.#revocations });
    this.#agent ??= new undici.Agent({
      connections: CONNECTIONS,
      headersTimeout: SILENCE_MS,
      bodyTimeout: SILENCE_MS,
      connect: { ca, cert, key, servername: SERVER_NAME, checkServerIdentity, timeout: SILENCE_MS },
    });
    return this.#agent;
  }

  /** New connections are to be made with the new certificates; reads under way finish on the old ones. */
  #forget(): void {
    const old = this.#agent;
    this.#agent = undefined;
    void old?.close();
  }
}
