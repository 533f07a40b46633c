import { mkdirSync, rmSync } from 'node:fs';
import { connect, createServer, type NetConnectOpts, type Server } from 'node:net';
import { dirname } from 'node:path';
import { pipeDelayed } from './delayed-pipe.ts';

/** One door and where it leads: each `host:port`, or the path of a unix socket. */
export interface Route {
  listen: string;
  connect: string;
}

/** Passes on every connection to `route.listen`, with `delayMs()` each way. Answers where it listens, with the port. */
export async function relay(
  route: Route,
  delayMs: () => number = () => 0,
): Promise<{ address: string; close(): void }> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ ...optionsOf(route.connect), allowHalfOpen: true, noDelay: true });
    pipeDelayed(near, far, delayMs);
    pipeDelayed(far, near, delayMs);
  });
  await listen(server, route.listen);
  const bound = server.address();
  const address =
    bound !== null && typeof bound === 'object' ? `${bound.address}:${bound.port}` : route.listen;
  return { address, close: () => void server.close() };
}

function listen(server: Server, address: string): Promise<void> {
  if (address.startsWith('/')) {
    mkdirSync(dirname(address), { recursive: true, mode: 0o700 });
    rmSync(address, { force: true });
  }
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(optionsOf(address), resolve);
  });
}

function optionsOf(address: string): NetConnectOpts & { path?: string } {
  if (address.startsWith('/')) return { path: address };
  const [host = '', port] = address.split(':');
  return { host, port: Number(port) };
}
