import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** The uploads of a {@link FakeRegistry}: numbered from 1, at `/v2/<repository>/blobs/uploads/<n>`. */
export class FakeUploads {
  /** Bytes that open ones have taken. */
  readonly sessions = new Map<string, Buffer>();
  readonly #blobs: Map<string, Buffer>;
  #count = 0;

  constructor(blobs: Map<string, Buffer>) {
    this.#blobs = blobs;
  }

  /** Whether it was one of an upload. `cutAfterBytes`: takes so many of the body's, and ends the connection. */
  async answer(
    request: IncomingMessage,
    response: ServerResponse,
    cutAfterBytes: number | undefined,
  ): Promise<void> {
    const url = new URL(request.url ?? '', 'http://registry');
    const path = url.pathname;
    if (request.method === 'POST') {
      const mounted = url.searchParams.get('mount') ?? '';
      if (this.#blobs.has(mounted)) return void response.writeHead(201).end();
      this.#count += 1;
      const location = `${path}${this.#count}`;
      this.sessions.set(location, Buffer.alloc(0));
      return void response.writeHead(202, { location }).end();
    }
    const kept = this.sessions.get(path);
    if (!kept) return void response.writeHead(404).end();
    if (request.method === 'DELETE') {
      this.sessions.delete(path);
      return void response.writeHead(204).end();
    }
    const bytes = Buffer.concat([kept, await bodyOf(request, cutAfterBytes)]);
    // A whole blob that is cut is of no use; a chunk is, as far as it came.
    if (request.method === 'PATCH') this.sessions.set(path, bytes);
    if (cutAfterBytes !== undefined) return void request.destroy();
    const range = `0-${Math.max(0, bytes.length - 1)}`;
    if (request.method === 'GET') return void response.writeHead(204, { location: path, range }).end();
    if (request.method === 'PATCH') return void response.writeHead(202, { location: path, range }).end();
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    if (digest !== url.searchParams.get('digest')) return void response.writeHead(400).end('digest invalid');
    this.sessions.delete(path);
    this.#blobs.set(digest, bytes);
    response.writeHead(201).end();
  }
}

async function bodyOf(request: IncomingMessage, mostBytes = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes >= mostBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, Math.min(sizeBytes, mostBytes));
}
