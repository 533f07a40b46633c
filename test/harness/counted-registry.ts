import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Registry } from '@longshore/local';
import { TestAuthority } from '@longshore/transport/testing';

/** How a TLS connection begins. */
const TLS_HANDSHAKE = 22;

export interface CountedRequest {
  method: string;
  path: string;
  /** Of the answer's body, so far. */
  bytes: number;
}

/** A registry on loopback with TLS and without, at one port, that knows what each answer took. */
export interface CountedRegistry extends AsyncDisposable {
  readonly host: string;
  /** The authority's certificate. */
  readonly caFile: string;
  /** Since it started or since they were taken last. */
  takeRequests(): CountedRequest[];
}

/** Puts it before `registry`, with its keys in `directory`. */
export async function startCountedRegistry(registry: Registry, directory: string): Promise<CountedRegistry> {
  const { tlsCert, tlsKey, tlsCa } = new TestAuthority(directory).issueFor(['IP:127.0.0.1'], 'registry');
  let requests: CountedRequest[] = [];
  const pass: http.RequestListener = (request, response) => {
    const { method = '', url: path = '', headers } = request;
    const counted = { method, path, bytes: 0 };
    requests.push(counted);
    const behind = http.request(
      { host: '127.0.0.1', port: registry.port, method, path, headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.on('data', (chunk: Buffer) => {
          counted.bytes += chunk.length;
        });
        answer.pipe(response);
      },
    );
    behind.on('error', () => response.destroy());
    response.on('close', () => behind.destroy());
    request.pipe(behind);
  };
  const plain = http.createServer(pass);
  const secure = https.createServer({ cert: readFileSync(tlsCert), key: readFileSync(tlsKey) }, pass);
  const front = createServer((socket) => dispatch(socket, plain, secure)).listen(0, '127.0.0.1');
  await once(front, 'listening');
  return {
    host: `127.0.0.1:${(front.address() as AddressInfo).port}`,
    caFile: tlsCa,
    takeRequests() {
      const taken = requests;
      requests = [];
      return taken;
    },
    async [Symbol.asyncDispose]() {
      front.close();
      for (const server of [plain, secure]) server.closeAllConnections();
    },
  };
}

function dispatch(socket: Socket, plain: http.Server, secure: https.Server): void {
  socket.on('error', () => undefined);
  socket.once('readable', () => {
    const first: Buffer | null = socket.read(1);
    if (!first) return socket.destroy();
    socket.unshift(first);
    return (first[0] === TLS_HANDSHAKE ? secure : plain).emit('connection', socket);
  });
}
