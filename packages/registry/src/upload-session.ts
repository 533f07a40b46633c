import { LongshoreError, unavailable } from '@longshore/errors';
import type { Digest } from '@longshore/oci';
import { registryError } from './registry-error.ts';
import type { RegistrySession } from './registry-session.ts';
import { wordsOf } from './registry-session.ts';
import { type HttpResponse, headerOf } from './registry-transport.ts';

/** What the registry is to be asked with, for each request of one upload. */
export interface UploadCall {
  session: RegistrySession;
  repository: string;
  subject: string;
  signal: AbortSignal | undefined;
}

const CANCEL_TIMEOUT_MS = 5_000;

/**
 * One upload that a registry has opened: begun → bytes taken → finished with their digest. Left alone, the registry forgets it.
 * Source: OCI distribution-spec, "Pushing blobs".
 */
export class UploadSession {
  readonly #call: UploadCall;
  #location: string;
  /** How much the registry has taken. */
  offsetBytes = 0;

  constructor(call: UploadCall, opened: HttpResponse) {
    this.#call = call;
    this.#location = '';
    this.#move(opened);
  }

  /** Everything in one request, which can only be tried again in another upload. Answers whether it is not too large for one. */
  async putWhole(digest: Digest, sizeBytes: number, open: () => AsyncIterable<Uint8Array>): Promise<boolean> {
    const response = await this.#send('PUT', withDigest(this.#location, digest), {
      headers: { 'content-length': String(sizeBytes) },
      body: sizeBytes > 0 ? open : undefined,
    });
    if (response.statusCode === 413) {
      await response.body.dump();
      return false;
    }
    await this.#expect(response, 201);
    return true;
  }

  /** The next bytes; how many of them were taken is for the registry to say. */
  async patch(sizeBytes: number, open: () => AsyncIterable<Uint8Array>): Promise<void> {
    const start = this.offsetBytes;
    const response = await this.#send('PATCH', this.#location, {
      headers: {
        'content-length': String(sizeBytes),
        'content-range': `${start}-${start + sizeBytes - 1}`,
      },
      body: open,
    });
    await this.#expect(response, 202);
    this.#move(response);
    this.offsetBytes = takenBytes(response) ?? start + sizeBytes;
  }

  /** Asks how much was taken, after a request that was cut. */
  async resume(): Promise<void> {
    const { session, ...call } = this.#call;
    const response = await session.send({
      ...call,
      method: 'GET',
      path: this.#location,
      isNamed: true,
      actions: 'pull,push',
    });
    await this.#expect(response, 204);
    this.#move(response);
    this.offsetBytes = takenBytes(response) ?? 0;
  }

  async finish(digest: Digest): Promise<void> {
    const response = await this.#send('PUT', withDigest(this.#location, digest), {
      headers: { 'content-length': '0' },
    });
    await this.#expect(response, 201);
  }

  /** So that the registry need not keep what will not be finished. Never throws. */
  async cancel(): Promise<void> {
    const { session, ...call } = this.#call;
    const signal = AbortSignal.timeout(CANCEL_TIMEOUT_MS);
    const request = {
      ...call,
      signal,
      path: this.#location,
      isNamed: true,
      actions: 'pull,push',
      isRepeatable: false,
    } as const;
    await session.send({ ...request, method: 'DELETE' }).then(
      ({ body }) => body.dump(),
      () => undefined,
    );
  }

  async #send(
    method: 'PUT' | 'PATCH',
    path: string,
    {
      headers,
      body,
    }: { headers: Record<string, string>; body?: (() => AsyncIterable<Uint8Array>) | undefined },
  ): Promise<HttpResponse> {
    const { session, ...call } = this.#call;
    return session.send({
      ...call,
      method,
      path,
      isNamed: true,
      actions: 'pull,push',
      isRepeatable: false,
      headers: { 'content-type': 'application/octet-stream', ...headers },
      body,
    });
  }

  async #expect(response: HttpResponse, status: number): Promise<void> {
    const words = await wordsOf(response);
    if (response.statusCode !== status) throw registryError(this.#call.subject, response.statusCode, words);
  }

  #move(response: HttpResponse): void {
    const location = headerOf(response, 'location');
    if (location !== undefined) this.#location = location;
    if (this.#location === '')
      throw unavailable(`${this.#call.session.subject} opens an upload without a place`);
  }
}

/** From the header `range: 0-99`, or undefined where it says nothing. */
function takenBytes(response: HttpResponse): number | undefined {
  const range = headerOf(response, 'range');
  if (range === undefined) return undefined;
  const last = Number(/^(?:bytes=)?0-(\d+)$/.exec(range)?.[1] ?? Number.NaN);
  if (Number.isSafeInteger(last)) return last === 0 ? 0 : last + 1;
  throw new LongshoreError('Unknown', `registry answered the range ${JSON.stringify(range)}: unknown`);
}

/** The place may have a query of its own. */
function withDigest(location: string, digest: Digest): string {
  return `${location}${location.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`;
}
