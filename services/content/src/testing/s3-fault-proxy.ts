import http, { type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** What happens to a request. Bytes are counted of the body. */
export type Fault =
  /** An answer of the proxy's own. */
  | { answer: number; code?: string }
  /** Nothing is answered, and nothing passed on. */
  | 'hang'
  /** The server hears it, and the caller nothing. */
  | 'lose-answer'
  | { cutRequestAfter: number }
  | { cutAnswerAfter: number }
  /**
   * The server hears of it when the promise resolves. Of a removal the caller is told that it was done; all else has its
   * connection broken.
   */
  | { applyAfter: Promise<unknown> };

/** Looked at for each request; undefined passes it on. */
export type Faults = (request: IncomingMessage) => Fault | undefined;

/** Stands before an S3 server and does what networks and servers do to requests. */
export class S3FaultProxy implements AsyncDisposable {
  /** e.g. `PUT /bucket/key?partNumber=1`, each as it came. */
  readonly requests: string[] = [];
  faults: Faults = () => undefined;
  readonly #server: Server;
  readonly #target: URL;
  readonly #late: Promise<unknown>[] = [];

  private constructor(target: URL) {
    this.#target = target;
    this.#server = http.createServer((request, response) => {
      this.requests.push(`${request.method} ${request.url}`);
      // Both ends may break at any time: that is what it is for.
      request.on('error', () => undefined);
      response.on('error', () => undefined);
      this.#handle(request, response);
    });
  }

  static async start(target: URL): Promise<S3FaultProxy> {
    const proxy = new S3FaultProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get endpoint(): URL {
    return new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`);
  }

  /** Resolves when what was to be applied late has been. */
  async settled(): Promise<void> {
    await Promise.all(this.#late);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const fault = this.faults(request);
    if (fault === 'hang') {
      request.resume();
    } else if (fault === undefined || fault === 'lose-answer') {
      this.#forward(request, (answer) => {
        if (fault === 'lose-answer') request.socket.destroy();
        else answer.pipe(response.writeHead(answer.statusCode ?? 0, answer.rawHeaders));
      });
    } else if ('answer' in fault) {
      request.resume();
      response.writeHead(fault.answer).end(`<Error><Code>${fault.code ?? 'InternalError'}</Code></Error>`);
    } else if ('cutRequestAfter' in fault) {
      let bytes = 0;
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.byteLength;
        if (bytes >= fault.cutRequestAfter) request.socket.destroy();
      });
    } else if ('cutAnswerAfter' in fault) {
      this.#forward(request, (answer) => cutAfter(fault.cutAnswerAfter, answer, request, response));
    } else {
      const late = buffer(request).then(async (body) => {
        if (request.method === 'DELETE') response.writeHead(204).end();
        else request.socket.destroy();
        await fault.applyAfter;
        await this.#forward(request, (answer) => answer.resume(), body);
      });
      this.#late.push(late);
    }
  }

  /** The signature is of the headers as the caller has sent them. */
  #forward(
    request: IncomingMessage,
    onAnswer: (answer: IncomingMessage) => void,
    body?: Buffer,
  ): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { method, url: path, rawHeaders: headers } = request;
    const { hostname: host, port } = this.#target;
    const forwarded = http.request({ host, port, method, path, headers, agent: false });
    forwarded.once('response', (answer) => {
      answer.once('close', resolve);
      onAnswer(answer);
    });
    forwarded.once('error', () => {
      request.socket.destroy();
      resolve();
    });
    if (body) forwarded.end(body);
    else request.pipe(forwarded);
    return promise;
  }
}

function cutAfter(
  limit: number,
  answer: IncomingMessage,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  response.writeHead(answer.statusCode ?? 0, answer.rawHeaders);
  let bytes = 0;
  answer.on('data', (chunk: Buffer) => {
    const kept = chunk.subarray(0, limit - bytes);
    bytes += kept.byteLength;
    response.write(kept, () => bytes >= limit && request.socket.destroy());
  });
  answer.on('end', () => response.end());
}
