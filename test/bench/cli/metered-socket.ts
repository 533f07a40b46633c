import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A unix socket that passes all on to another, and knows for how long there was anything to pass on. */
export interface MeteredSocket extends AsyncDisposable {
  path: string;
  /** Milliseconds from the first byte to the last one, either way, since it was asked before. */
  take(): number;
}

export async function meterSocket(target: string): Promise<MeteredSocket> {
  const directory = await mkdtemp(join(tmpdir(), 'longshore-bench-'));
  const path = join(directory, 'metered.sock');
  const sockets = new Set<Socket>();
  let first: number | undefined;
  let last = 0;
  const note = () => {
    last = performance.now();
    first ??= last;
  };
  const passOn = (from: Socket, to: Socket) => {
    sockets.add(from);
    from.on('data', note).on('error', () => to.destroy());
    from.on('close', () => sockets.delete(from));
    from.pipe(to);
  };
  const server = createServer((caller) => {
    const called = connect(target);
    passOn(caller, called);
    passOn(called, caller);
  });
  server.listen(path);
  await once(server, 'listening');
  return {
    path,
    take: () => {
      const spanMs = first === undefined ? 0 : last - first;
      first = undefined;
      return spanMs;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await rm(directory, { recursive: true });
    },
  };
}
