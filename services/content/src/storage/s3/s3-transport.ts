import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import https from 'node:https';
import { http } from '@longshore/transport';
import { S3StatusError, S3TimeoutError } from './s3-error.ts';

/** Connections that are kept, over all that goes on; more requests wait. */
const MAX_SOCKETS = 128;
/** The same for bodies that are read: those wait for their readers, and must not keep all else waiting for them. */
const MAX_READ_SOCKETS = 1024;
/** Bytes that a server takes or sends in a millisecond, however slow it is: what a request's deadline allows for. */
const SLOWEST_BYTES_PER_MS = 100;
/** A request that moves, but only just, gets so many times the silence that is allowed. */
const DEADLINE_SILENCES = 6;
/** More of an error's text is not looked at. */
const MAX_ERROR_BYTES = 16 * 1024;

/**
 * What the `minio` client sends its requests with. It adds what the client lacks: an end to every request, and answers
 * that say "not now" as errors, which the client would otherwise send again by a rule of its own and with the code lost.
 */
export class S3Transport {
  readonly agent: Agent;
  readonly #readAgent: Agent;
  readonly #secure: boolean;
  readonly #timeoutMs: number;

  constructor(secure: boolean, ca: string | undefined, timeoutMs: number) {
    this.#secure = secure;
    this.#timeoutMs = timeoutMs;
    const agentOf = (maxSockets: number) =>
      secure
        ? new https.Agent({ keepAlive: true, maxSockets, ...(ca && { ca }) })
        : new http.Agent({ keepAlive: true, maxSockets });
    this.agent = agentOf(MAX_SOCKETS);
    this.#readAgent = agentOf(MAX_READ_SOCKETS);
  }

  /** Called by the client. */
  request(given: RequestOptions, onResponse: (response: IncomingMessage) => void): ClientRequest {
    const headers = (given.headers ?? {}) as Record<string, string>;
    const options = headers.range === undefined ? given : { ...given, agent: this.#readAgent };
    const request = this.#secure ? https.request(options) : http.request(options);
    const timeout = () => request.destroy(new S3TimeoutError(`${options.method} request`));
    const bodyMs = Number(headers['content-length'] ?? 0) / SLOWEST_BYTES_PER_MS;
    const deadline = setTimeout(timeout, DEADLINE_SILENCES * this.#timeoutMs + bodyMs);
    request.setTimeout(this.#timeoutMs, timeout);
    request.once('close', () => clearTimeout(deadline));
    request.once('response', (response) => {
      const status = response.statusCode ?? 0;
      if (status >= 500 || status === 429 || status === 408) {
        void fail(request, response, status);
        return;
      }
      // Who reads a body of many bytes waits for them in their own time.
      if (headers.range !== undefined && status < 300) {
        clearTimeout(deadline);
        request.setTimeout(0);
      }
      onResponse(response);
    });
    return request;
  }

  close(): void {
    this.agent.destroy();
    this.#readAgent.destroy();
  }
}

/** The client waits for an error of the request, or for its response. */
async function fail(request: ClientRequest, response: IncomingMessage, status: number): Promise<void> {
  let text = '';
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      text += chunk;
      if (text.length > MAX_ERROR_BYTES) break;
    }
  } catch {
    // The status says enough.
  }
  const code = /<Code>([^<]+)<\/Code>/.exec(text)?.[1] ?? codeOfStatus(status);
  request.emit('error', new S3StatusError(status, code));
}

function codeOfStatus(status: number): string {
  if (status === 507) return 'InsufficientStorage';
  return status === 503 || status === 429 ? 'SlowDown' : 'InternalError';
}
