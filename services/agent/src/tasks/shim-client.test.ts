import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import { notFound, unavailable } from '@longshore/errors';
import { createLogger, createMetrics, GrpcServer, type Handlers } from '@longshore/kit';
import { Task } from '@longshore/proto/containerd/task/v3/shim';
import { parseTrace, runInTrace, traceHeaders } from '@longshore/transport';
import { createTtrpcServer, type Metadata } from '@longshore/ttrpc';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ShimClient } from './shim-client.ts';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

const CALL = { namespace: 'team-a' };

async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'longshore-shim-client-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

/** Listens as a shim does, on a path or a name in the abstract space, and shows the metadata of each call. */
async function listen(path: string, seen: Metadata[] = [], service: DescService = Task): Promise<void> {
  const server = createTtrpcServer().add(service as typeof Task, {
    state: (_request, { metadata }) => {
      seen.push(metadata);
      return { id: 'web', pid: 7 };
    },
    connect: () => ({ taskPid: 7 }),
  });
  await server.listen(path);
  onTestFinished(() => server.close());
}

/** Listens until the test ends. */
async function front(path: string, onSocket: (socket: Socket) => void): Promise<void> {
  const server = createServer(onSocket).listen(path);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
}

function relay(socket: Socket, path: string): void {
  const target = connect({ path });
  socket.pipe(target).pipe(socket);
}

async function dial(address: string, protocol: 'ttrpc' | 'grpc' = 'ttrpc', version = 3): Promise<ShimClient> {
  const client = await ShimClient.dial({ version, address, protocol });
  onTestFinished(() => client.close());
  return client;
}

describe('ShimClient', () => {
  it('sends the namespace and the trace of the call under way with every call', async () => {
    const seen: Metadata[] = [];
    const path = join(await scratch(), 's');
    await listen(path, seen);
    const client = await dial(`unix://${path}`);
    await runInTrace(parseTrace(TRACEPARENT), () =>
      client.call('state', { id: 'web' }, { namespace: 'team-a', traceHeaders: traceHeaders() }),
    );
    expect(seen).toHaveLength(1);
    expect(seen[0]?.get('containerd-namespace-ttrpc')).toEqual(['team-a']);
    expect(seen[0]?.get('traceparent')).toEqual([TRACEPARENT]);
  });

  it('goes on with version 2 when a shim does not serve the version that it named', async () => {
    const path = join(await scratch(), 's');
    await listen(path, [], { ...Task, typeName: 'containerd.task.v2.Task' } as DescService);
    const client = await dial(`unix://${path}`);
    expect(await client.call('connect', { id: 'web' }, CALL)).toMatchObject({ taskPid: 7 });
    expect(await client.call('state', { id: 'web' }, CALL)).toMatchObject({ pid: 7 });
    await expect(client.call('pause', { id: 'web' }, CALL)).rejects.toMatchObject({ kind: 'Unimplemented' });
  });

  it('finds a shim in the abstract socket space', async () => {
    const path = join(await scratch(), 's');
    await listen(path);
    const name = `longshore-test-${randomBytes(6).toString('hex')}`;
    await front(`\0${name}`, (socket) => relay(socket, path));
    expect(await (await dial(name)).call('state', { id: 'web' }, CALL)).toMatchObject({ pid: 7 });
  });

  it("reaches a port of a virtual machine by its monitor's socket, and says when that refuses", async () => {
    const directory = await scratch();
    await listen(join(directory, 's'));
    await front(join(directory, 'vm'), (socket) => {
      socket.once('data', (line) => {
        if (line.toString() !== 'CONNECT 1024\n') return socket.end('no such port\n');
        socket.write('OK 3\n');
        return relay(socket, join(directory, 's'));
      });
    });
    const client = await dial(`hvsock://${join(directory, 'vm')}:1024`);
    expect(await client.call('state', { id: 'web' }, CALL)).toMatchObject({ pid: 7 });
    await expect(dial(`hvsock://${join(directory, 'vm')}:1`)).rejects.toMatchObject({ kind: 'Unavailable' });
    await expect(dial('vsock://3:1024')).rejects.toMatchObject({ kind: 'Unimplemented' });
  });

  it('speaks gRPC to a shim that says so, and sees its end', async () => {
    const path = join(await scratch(), 's');
    const namespaces: string[] = [];
    const server = new GrpcServer(createLogger('agent', 'silent'), createMetrics('agent'));
    server.add(Task, {
      state: async (_request, { namespace }) => {
        namespaces.push(namespace);
        return { pid: 7 };
      },
      start: async () => {
        throw notFound('container "web"');
      },
      pause: async () => {
        throw unavailable('guest');
      },
      wait: () => new Promise(() => undefined),
    } as Partial<Handlers<typeof Task>> as Handlers<typeof Task>);
    await server.listen(`unix://${path}`, { tlsCert: '', tlsKey: '', tlsCa: '' });
    const client = await dial(`unix://${path}`, 'grpc');
    expect(await client.call('state', { id: 'web' }, CALL)).toMatchObject({ pid: 7 });
    expect(namespaces).toEqual(['team-a']);
    await expect(client.call('start', { id: 'web' }, CALL)).rejects.toMatchObject({ kind: 'NotFound' });
    // Its own word for something else than its end.
    await expect(client.call('pause', { id: 'web' }, CALL)).rejects.toMatchObject({ kind: 'Unavailable' });
    await expect(client.call('wait', { id: 'web' }, { ...CALL, timeoutMs: 50 })).rejects.toMatchObject({
      kind: 'DeadlineExceeded',
    });
    const waiting = client.call('wait', { id: 'web' }, CALL).catch((error: unknown) => error);
    expect(client.isClosed).toBe(false);
    await server.close(1);
    await client.closed;
    expect(client.isClosed).toBe(true);
    expect(await waiting).toMatchObject({ kind: 'Unknown', message: 'ttrpc: closed: unknown' });
    await expect(dial(`unix://${path}`, 'grpc')).rejects.toMatchObject({ kind: 'Unavailable' });
  });

  it('refuses gRPC where containerd does', async () => {
    await expect(dial('unix:///nowhere', 'grpc', 2)).rejects.toMatchObject({ kind: 'Unimplemented' });
    await expect(dial('name', 'grpc')).rejects.toMatchObject({ kind: 'Unimplemented' });
  });
});
