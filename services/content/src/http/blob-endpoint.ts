import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { failedPrecondition, isKind } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { isDigest } from '@longshore/oci';
import { formatAddress, splitHostPort, type TlsFiles, TlsIdentity } from '@longshore/transport';
import type { BlobReader, BlobStore } from '../domain/blob-store.ts';
import { type ByteRange, parseRange } from '../domain/byte-range.ts';
import type { Claimed } from '../domain/signed-paths.ts';

/** Large enough that the cost of a piece does not count, small enough to hold a few per reader. */
const CHUNK_BYTES = 512 * 1024;
/** A reader that takes nothing for so long is gone. */
const IDLE_TIMEOUT_MS = 60_000;
const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);
const PATH = /^\/blobs\/([^/]+)\/([0-9a-f-]{36})$/;

export interface BlobVerifier {
  verify(claimed: Claimed): Promise<boolean>;
}

/**
 * HTTPS for those who have a URL of a blob: GET and HEAD, with a range. Callers show no certificate: the signature in the URL
 * is the proof, which is why no URL is logged. States: listening → closed.
 */
export class BlobEndpoint {
  /** host:port, with the port that was taken. */
  readonly address: string;
  readonly #server: Server;
  readonly #identity: TlsIdentity;

  private constructor(server: Server, identity: TlsIdentity, address: string) {
    this.#server = server;
    this.#identity = identity;
    this.address = address;
  }

  /** Throws FailedPrecondition without a usable certificate. */
  static async listen(
    listen: string,
    tls: TlsFiles,
    store: BlobStore,
    paths: BlobVerifier,
    log: Logger,
  ): Promise<BlobEndpoint> {
    const identity = TlsIdentity.open(tls, log);
    const { cert, key } = identity.pems;
    const server = createServer({ cert, key }, (request, response) => {
      respond(store, paths, request, response).catch((error) => fail(response, error, log));
    });
    server.setTimeout(IDLE_TIMEOUT_MS);
    identity.onChange((pems) => server.setSecureContext({ cert: pems.cert, key: pems.key }));
    const { host, port } = splitHostPort(listen);
    try {
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
    } catch (error) {
      identity.close();
      throw error;
    }
    const taken = (server.address() as AddressInfo).port;
    return new BlobEndpoint(server, identity, formatAddress({ kind: 'tcp', host, port: taken }));
  }

  /** What URLs of this endpoint begin with. Throws FailedPrecondition when it listens on every address of the host. */
  get bases(): string[] {
    const { host } = splitHostPort(this.address);
    if (!WILDCARDS.has(host)) return [`https://${this.address}`];
    throw failedPrecondition(
      `blobs on ${this.address}: nodes cannot reach that name; set LONGSHORE_CONTENT_BLOBS_URL`,
    );
  }

  /** Lets what is being read finish, for at most `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    const cut = setTimeout(() => this.#server.closeAllConnections(), timeoutMs);
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    clearTimeout(cut);
    this.#identity.close();
  }
}

async function respond(
  store: BlobStore,
  paths: BlobVerifier,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return end(response.setHeader('allow', 'GET, HEAD'), 405);
  }
  const claimed = claimedBy(request.url ?? '');
  if (!claimed) return end(response, 404);
  if (!(await paths.verify(claimed))) return end(response, 403);
  await using reader = await store.open(claimed);
  await send(reader, claimed, request, response);
}

async function send(
  reader: BlobReader,
  { digest }: Claimed,
  { method, headers }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const etag = `"${digest}"`;
  const mayRange = headers['if-range'] === undefined || headers['if-range'] === etag;
  const range = mayRange ? parseRange(headers.range, reader.sizeBytes) : undefined;
  response.setHeader('accept-ranges', 'bytes').setHeader('etag', etag);
  if (range === 'unsatisfiable') {
    return end(response.setHeader('content-range', `bytes */${reader.sizeBytes}`), 416);
  }
  const { start, end: behind } = range ?? { start: 0, end: reader.sizeBytes };
  if (range) response.setHeader('content-range', `bytes ${start}-${behind - 1}/${reader.sizeBytes}`);
  response.setHeader('content-type', 'application/octet-stream').setHeader('content-length', behind - start);
  response.writeHead(range ? 206 : 200);
  if (method === 'HEAD') response.end();
  else await pipeline(Readable.from(chunks(reader, { start, end: behind }), { highWaterMark: 1 }), response);
}

async function* chunks(reader: BlobReader, { start, end: behind }: ByteRange): AsyncGenerator<Uint8Array> {
  for (let position = start; position < behind; ) {
    const data = await reader.read(position, Math.min(CHUNK_BYTES, behind - position));
    if (data.byteLength === 0) throw new Error(`bytes end at ${position}, not at ${behind}`);
    position += data.byteLength;
    yield data;
  }
}

function claimedBy(url: string): Claimed | undefined {
  const query = url.indexOf('?');
  const [, digest = '', generation = ''] = PATH.exec(query < 0 ? url : url.slice(0, query)) ?? [];
  if (!isDigest(digest)) return undefined;
  const parameters = new URLSearchParams(query < 0 ? '' : url.slice(query));
  const expires = parameters.get('expires') ?? '';
  return { digest, generation, expires, signature: parameters.get('signature') ?? '' };
}

function end(response: ServerResponse, status: number): void {
  response.writeHead(status).end();
}

/** Once bytes were sent, only a broken connection can say that the rest is missing. */
function fail(response: ServerResponse, error: unknown, log: Logger): void {
  const isGone = response.destroyed || response.socket?.destroyed === true;
  if (!isGone && !isKind(error, 'NotFound')) log.warn({ err: error }, 'answering for a blob failed');
  if (response.headersSent) response.destroy();
  else end(response, isKind(error, 'NotFound') ? 404 : isKind(error, 'Unavailable') ? 503 : 500);
}
