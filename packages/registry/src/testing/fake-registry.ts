import { randomUUID } from 'node:crypto';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { FakeUploads } from './fake-uploads.ts';

export interface FakeRequest {
  method: string;
  path: string;
  authorization: string | undefined;
  range: string | undefined;
  headers: IncomingHttpHeaders;
}

/** One answer in place of the usual one. */
export interface Fault {
  status?: number;
  headers?: Record<string, string>;
  body?: Buffer | string;
  /** Cuts the connection after this many bytes of the usual answer. */
  cutAfterBytes?: number;
  /** Sends this many bytes of the usual answer, and then nothing more. */
  stallAfterBytes?: number;
  /** The usual answer, once this has resolved. */
  until?: Promise<unknown>;
}

/** A registry in memory that fails on demand: what no real one can be made to do. Ends with the test. */
export class FakeRegistry {
  /** By `<repository>:<tag>` and digest. */
  readonly manifests = new Map<string, { mediaType: string; bytes: Buffer }>();
  /** By digest. */
  readonly blobs = new Map<string, Buffer>();
  readonly requests: FakeRequest[] = [];
  /** By path, first come first served. */
  readonly faults = new Map<string, Fault[]>();
  readonly uploads = new FakeUploads(this.blobs);
  /** Who may read; everyone without it. */
  auth: { kind: 'basic' | 'bearer'; username: string; password: string } | undefined;
  readonly #tokens = new Set<string>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** With `tls` by HTTPS. */
  static async start(tls?: ServerOptions): Promise<FakeRegistry> {
    const server = tls ? createTlsServer(tls) : createServer();
    const registry = new FakeRegistry(server);
    server.on('request', (request, response) => registry.#answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    return registry;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  fail(path: string, ...faults: Fault[]): void {
    this.faults.set(path, [...(this.faults.get(path) ?? []), ...faults]);
  }

  /** How often something was asked for with GET, in part or whole. */
  count(part: string): number {
    return this.requests.filter(({ method, path }) => method === 'GET' && path.includes(part)).length;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url: asked = '', headers } = request;
    const { authorization, range } = headers;
    this.requests.push({ method, path: asked, authorization, range, headers });
    // Whose images a mirror is asked for, which only has one's.
    const url = asked.replace(/[?&]ns=[^&]*$/, '');
    const fault = this.faults.get(url)?.shift();
    if (fault?.status !== undefined) {
      response.writeHead(fault.status, fault.headers).end(fault.body ?? '');
      return;
    }
    const found = this.#find(url);
    if (url.startsWith('/token')) this.#token(authorization, response);
    else if (!this.#mayRead(authorization)) this.#challenge(response);
    else if (url === '/v2/') response.writeHead(200).end('{}');
    else if (url.includes('/blobs/uploads/'))
      void this.uploads.answer(request, response, fault?.cutAfterBytes).catch(() => response.destroy());
    else if (method === 'PUT') void this.#putManifest(url, request, response);
    else if (!found) sendError(response, 404, url.includes('/blobs/') ? 'blob unknown' : 'manifest unknown');
    else {
      const bytes = asBuffer(fault?.body) ?? found.bytes;
      const send = () => this.#send(response, method, range, { mediaType: found.mediaType, bytes }, fault);
      if (fault?.until) void fault.until.then(send);
      else send();
    }
  }

  async #putManifest(url: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, repository, name = ''] = /^\/v2\/(.+)\/manifests\/([^/]+)$/.exec(url) ?? [];
    const mediaType = request.headers['content-type'] ?? '';
    const key = name.startsWith('sha256:') ? name : `${repository}:${name}`;
    this.manifests.set(key, { mediaType, bytes: await buffer(request) });
    response.writeHead(201).end();
  }

  #find(url: string): { mediaType: string; bytes: Buffer } | undefined {
    const [, repository, kind, name = ''] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(url) ?? [];
    if (kind === 'manifests') return this.manifests.get(`${repository}:${name}`) ?? this.manifests.get(name);
    const bytes = this.blobs.get(name);
    return bytes && { mediaType: 'application/octet-stream', bytes };
  }

  #send(
    response: ServerResponse,
    method: string,
    range: string | undefined,
    { mediaType, bytes }: { mediaType: string; bytes: Buffer },
    fault: Fault | undefined,
  ): void {
    const start = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    const part = bytes.subarray(start);
    const headers: Record<string, string | number> = {
      'content-type': mediaType,
      'content-length': part.length,
    };
    if (start > 0) headers['content-range'] = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
    response.writeHead(start > 0 ? 206 : 200, headers);
    const most = fault?.cutAfterBytes ?? fault?.stallAfterBytes;
    if (method === 'HEAD') response.end();
    else if (most === undefined) response.end(part);
    else
      response.write(part.subarray(0, most), () => fault?.cutAfterBytes !== undefined && response.destroy());
  }

  #mayRead(authorization: string | undefined): boolean {
    if (!this.auth) return true;
    if (this.auth.kind === 'basic') return authorization === this.#basic();
    return this.#tokens.has(authorization?.replace('Bearer ', '') ?? '');
  }

  #challenge(response: ServerResponse): void {
    const realm = `http://${this.host}/token`;
    const challenge =
      this.auth?.kind === 'basic' ? 'Basic realm="test"' : `Bearer realm="${realm}",service="test"`;
    sendError(response, 401, 'authentication required', { 'www-authenticate': challenge });
  }

  #token(authorization: string | undefined, response: ServerResponse): void {
    const isKnown = authorization === this.#basic();
    const token = randomUUID();
    if (isKnown) this.#tokens.add(token);
    if (isKnown) response.end(JSON.stringify({ token, expires_in: 300 }));
    else sendError(response, 401, 'who are you');
  }

  #basic(): string {
    const { username, password } = this.auth!;
    return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  }
}

function sendError(
  response: ServerResponse,
  status: number,
  message: string,
  headers: Record<string, string> = {},
): void {
  const body = JSON.stringify({ errors: [{ code: message.toUpperCase().replaceAll(' ', '_'), message }] });
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
}

function asBuffer(body: Buffer | string | undefined): Buffer | undefined {
  return body === undefined ? undefined : Buffer.from(body);
}
