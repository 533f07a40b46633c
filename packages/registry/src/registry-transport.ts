import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { rootCertificates } from 'node:tls';
import { LongshoreError, messageOf, type RetryPolicy, retryDelayMs, unavailable } from '@longshore/errors';
import type { Agent, Dispatcher } from 'undici';
import { retryAfterMs } from './retry-after.ts';

export interface RegistryTransportOptions {
  /** Certificate authorities in PEM, beside those that Node knows. */
  ca?: string | readonly string[];
  /** Whom it shows itself as, in PEM. */
  clients?: readonly { readonly cert: string; readonly key: string }[];
  /** Believes whoever answers. Default false. */
  skipsVerification?: boolean;
  /** Default 6: registries begin to refuse a client that opens many more. */
  connectionsPerHost?: number;
  /** How long a server may say nothing, in milliseconds, before the connection counts as cut. Default 30 s. */
  silenceMs?: number;
  retry?: RetryPolicy;
}

export interface HttpRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  url: string;
  headers: Record<string, string>;
  /** For the host of the URL alone, not for one that it redirects to. */
  ownHeaders?: Record<string, string> | undefined;
  /** A function is called for each attempt. */
  body?: string | Uint8Array | (() => AsyncIterable<Uint8Array>) | undefined;
  /** Default true. */
  isRepeatable?: boolean;
  signal?: AbortSignal | undefined;
}

export type HttpResponse = Dispatcher.ResponseData;

/** Together some five seconds, if the registry does not say otherwise. */
const RETRY: RetryPolicy = { initialDelayMs: 250, maxDelayMs: 4_000, attempts: 5 };
const MAX_REDIRECTS = 5;
/** What proves a caller: for the host that asked for it, never for one that it redirects to. */
const SECRETS = ['authorization', 'cookie', 'proxy-authorization'];

/** Takes some 30 MB, which a process that never asks a registry is spared. */
const loadUndici = () => import('undici');

/** HTTP to registries, shared by all clients of a process: connections, their limits, retries and redirects. */
export class RegistryTransport implements AsyncDisposable {
  readonly #options: Agent.Options;
  #agent: Agent | undefined;
  readonly #retry: RetryPolicy;

  constructor(options: RegistryTransportOptions = {}) {
    const { connectionsPerHost = 6, silenceMs = 30_000, retry = RETRY } = options;
    const { ca = '', clients = [], skipsVerification = false } = options;
    const authorities = [ca].flat().filter(Boolean);
    this.#retry = retry;
    this.#options = {
      connections: connectionsPerHost,
      headersTimeout: silenceMs,
      bodyTimeout: silenceMs,
      connect: {
        timeout: silenceMs,
        ...(authorities.length > 0 && { ca: [...rootCertificates, ...authorities] }),
        ...(clients.length > 0 && {
          cert: clients.map(({ cert }) => cert),
          key: clients.map(({ key }) => key),
        }),
        ...(skipsVerification && { rejectUnauthorized: false }),
      },
    };
  }

  /**
   * Sends a request, if it is safe to repeat as often as it takes to be neither refused for now (429, 5xx) nor cut before
   * an answer, and follows redirects. Gives any other answer as it is; its body is to be read or dumped. Throws
   * Unavailable when the host cannot be reached.
   */
  async send(wanted: HttpRequest): Promise<HttpResponse> {
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt === this.#retry.attempts || wanted.isRepeatable === false;
      let pauseMs = retryDelayMs(this.#retry, attempt);
      try {
        const response = await this.#follow(wanted);
        if (isLast || !isForNow(response.statusCode)) return response;
        pauseMs = Math.max(pauseMs, retryAfterMs(headerOf(response, 'retry-after')));
        await response.body.dump();
      } catch (error) {
        wanted.signal?.throwIfAborted();
        if (error instanceof LongshoreError) throw error;
        if (isLast || !isConnectionTrouble(error)) throw unreachable(wanted.url, error);
      }
      await delay(pauseMs, undefined, wanted.signal ? { signal: wanted.signal } : {});
    }
  }

  async close(): Promise<void> {
    await this.#agent?.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #follow(wanted: HttpRequest): Promise<HttpResponse> {
    const undici = await loadUndici();
    this.#agent ??= new undici.Agent(this.#options);
    let { url } = wanted;
    let headers = { ...wanted.headers, ...wanted.ownHeaders };
    for (let redirects = 0; ; redirects++) {
      const { method, body, signal } = wanted;
      const response = await undici.request(url, {
        dispatcher: this.#agent,
        method,
        // Compressed on the way, a blob would have other bytes than its digest says.
        headers: { 'accept-encoding': 'identity', 'user-agent': 'longshore', ...headers },
        ...(body !== undefined && { body: typeof body === 'function' ? Readable.from(body()) : body }),
        ...(signal && { signal }),
      });
      const location = headerOf(response, 'location');
      if (!isRedirect(response.statusCode) || location === undefined) return response;
      await response.body.dump();
      if (redirects === MAX_REDIRECTS) throw unavailable(`${originOf(wanted.url)} redirects again and again`);
      const next = new URL(location, url);
      refuseDowngrade(url, next);
      if (next.origin !== originOf(url)) headers = withoutSecrets(wanted.headers);
      url = next.href;
    }
  }
}

/** The first value of a header. */
export function headerOf(response: HttpResponse, name: string): string | undefined {
  return [response.headers[name]].flat()[0];
}

function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}

function isForNow(status: number): boolean {
  return status === 429 || (status >= 500 && status !== 501);
}

/** Trouble that may be over in a moment, unlike a certificate that does not fit. */
function isConnectionTrouble(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^(ECONN|EPIPE|EHOST|ENET|ETIMEDOUT|EAI_AGAIN|ENOTFOUND|UND_ERR_(?!INVALID))/.test(code);
}

function unreachable(url: string, cause: unknown): LongshoreError {
  return unavailable(`registry ${originOf(url)} cannot be reached: ${messageOf(cause)}`, { cause });
}

function originOf(url: string): string {
  return new URL(url).origin;
}

/** Throws Unavailable for a way from HTTPS to HTTP. */
export function refuseDowngrade(from: string, to: URL): void {
  const isHttp = to.protocol === 'http:' && from.startsWith('http:');
  if (to.protocol !== 'https:' && !isHttp) {
    throw unavailable(`registry ${originOf(from)} redirects to ${to.origin}, which is not HTTPS`);
  }
}

function withoutSecrets(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !SECRETS.includes(name.toLowerCase())),
  );
}
