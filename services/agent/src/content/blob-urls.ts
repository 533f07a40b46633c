import { internal, LongshoreError } from '@longshore/errors';
import type { Opened } from '@longshore/registry';
import type { BlobPlace } from '@longshore/transfer';
import { checkServer, type Revocations, SERVER_NAME, type TlsFiles, TlsIdentity } from '@longshore/transport';
import type { Agent } from 'undici';

/** A server that says nothing for so long has lost the connection, in milliseconds. */
const SILENCE_MS = 20_000;
const LIMITS = { connections: 4, headersTimeout: SILENCE_MS, bodyTimeout: SILENCE_MS };
/** Takes some 30 MB, which a node that reads blobs as files is spared. */
const loadUndici = () => import('undici');
/** Who may answer for a blob's URL, unless it is an object store's. */
const SERVER = 'service/content';

type Undici = typeof import('undici');

/** Reads blobs by the URLs that the content service gives. URLs are secrets: no error holds one. */
export class BlobUrls {
  readonly #identity: TlsIdentity | undefined;
  readonly #revocations: Revocations | undefined;
  readonly #onRead: () => void;
  /** To the content service. */
  #agent: Agent | undefined;
  /** To object stores, by the certificates that vouch for them. */
  readonly #storeAgents = new Map<string, Agent>();

  /** `tls` with empty paths: this node is not part of a fleet, and reads no URLs of the content service. */
  constructor(tls: TlsFiles, revocations?: Revocations, onRead = () => {}) {
    this.#revocations = revocations;
    this.#onRead = onRead;
    if (!tls.tlsCa) return;
    this.#identity = TlsIdentity.open(tls);
    this.#identity.onChange(() => this.#forget());
  }

  /** Whether the place has a URL that this node can use. */
  canRead(place: BlobPlace | undefined): place is BlobPlace {
    if (!place || place.url === '') return false;
    return place.objectStore !== undefined || this.#identity !== undefined;
  }

  /** Throws Unavailable for an answer that is not the blob, e.g. because the URL has expired. */
  async open(
    { url, objectStore }: BlobPlace,
    offsetBytes: number,
    signal: AbortSignal | undefined,
  ): Promise<Opened> {
    if (!objectStore && !url.startsWith('https:')) throw internal('URL of a blob is not HTTPS');
    this.#onRead();
    const undici = await loadUndici();
    const { statusCode, body } = await undici.request(url, {
      dispatcher: objectStore ? this.#toStore(undici, objectStore.ca) : this.#toContent(undici),
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
    await Promise.all([this.#agent, ...this.#storeAgents.values()].map((agent) => agent?.destroy()));
  }

  #toContent(undici: Undici): Agent {
    if (!this.#identity) throw internal('URL of a blob needs TLS files');
    const { ca, cert, key } = this.#identity.pems;
    const checkServerIdentity = checkServer({ expect: SERVER, revocations: this.#revocations });
    this.#agent ??= new undici.Agent({
      ...LIMITS,
      connect: { ca, cert, key, servername: SERVER_NAME, checkServerIdentity, timeout: SILENCE_MS },
    });
    return this.#agent;
  }

  /** `ca` is empty for the public authorities. */
  #toStore(undici: Undici, ca: string): Agent {
    const known = this.#storeAgents.get(ca);
    if (known) return known;
    const agent = new undici.Agent({ ...LIMITS, connect: { ...(ca !== '' && { ca }), timeout: SILENCE_MS } });
    this.#storeAgents.set(ca, agent);
    return agent;
  }

  /** New connections are to be made with the new certificates; reads under way finish on the old ones. */
  #forget(): void {
    const old = this.#agent;
    this.#agent = undefined;
    void old?.close();
  }
}
