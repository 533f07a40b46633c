import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kindOf, notFound } from '@longshore/errors';
import { type Call, createLogger, createMetrics, GrpcServer, startTracing } from '@longshore/kit';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Version } from '@longshore/proto/containerd/services/version/v1/version';
import { Channel, createClient } from '@longshore/rpc';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';

let tracing: Awaited<ReturnType<typeof startTracing>>;

beforeAll(async () => {
  tracing = await startTracing('test', '');
});

afterAll(() => tracing.close());

type Handler = (call: Call) => Promise<object>;

async function listen(server: GrpcServer): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'hops-'));
  onTestFinished(async () => {
    await server.close(0);
    rmSync(directory, { recursive: true });
  });
  return server.listen(`unix://${directory}/s.sock`, { tlsCert: '', tlsKey: '', tlsCa: '' });
}

function connect(address: string): Channel {
  const channel = new Channel(address);
  onTestFinished(() => channel.close());
  return channel;
}

/**
 * caller → first server (Images/List) → second server (Version/Version), on unix sockets, as services call one another:
 * the first one's handler uses a client with `call.forward()`.
 */
async function startHops(onSecond: Handler) {
  const firstEntered = Promise.withResolvers<Call>();
  const secondEntered = Promise.withResolvers<Call>();
  const newServer = () => new GrpcServer(createLogger('test', 'silent'), createMetrics('test'));
  const second = newServer();
  second.add(Version, {
    version: async (_, call) => {
      secondEntered.resolve(call);
      return onSecond(call);
    },
  });
  const next = createClient(Version, connect(await listen(second)));
  const first = newServer();
  first.add(Images, {
    list: async (_, call) => {
      firstEntered.resolve(call);
      await next.version({}, call.forward());
      return {};
    },
  });
  const images = createClient(Images, connect(await listen(first)));
  return { images, firstEntered: firstEntered.promise, secondEntered: secondEntered.promise };
}

const forEver: Handler = () => new Promise(() => undefined);

describe('a call over two hops', () => {
  it('carries scope, lease and request id', async () => {
    const { images, secondEntered } = await startHops(async () => ({}));
    const headers = {
      'containerd-namespace': 'ns',
      'containerd-lease': 'l',
      'longshore-node': 'n1',
      'x-request-id': 'mine',
    };
    await images.list({}, { headers });
    const call = await secondEntered;
    expect(call.scope).toEqual({ namespace: 'ns', node: 'n1' });
    expect(call.lease).toBe('l');
    expect(call.requestId).toBe('mine');
  });

  it('has one request id when its caller gives none', async () => {
    const { images, firstEntered, secondEntered } = await startHops(async () => ({}));
    await images.list({});
    const { requestId } = await firstEntered;
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect((await secondEntered).requestId).toBe(requestId);
  });

  it('is one trace', async () => {
    const { images, firstEntered, secondEntered } = await startHops(async () => ({}));
    const trace = '0af7651916cd43dd8448eb211c80319c';
    await images.list({}, { headers: { traceparent: `00-${trace}-b7ad6b7169203331-01` } });
    const spans = [await firstEntered, await secondEntered].map((call) =>
      call.header('traceparent')!.split('-'),
    );
    expect(spans.map(([, id]) => id)).toEqual([trace, trace]);
  });

  it('has one deadline', async () => {
    const { images, secondEntered } = await startHops(forEver);
    const deadline = new Date(Date.now() + 400);
    const outcome = images.list({}, { deadline }).catch(kindOf);
    const call = await secondEntered;
    expect(Math.abs(call.deadline!.getTime() - deadline.getTime())).toBeLessThan(300);
    expect(await outcome).toBe('DeadlineExceeded');
    await vi.waitFor(() => expect(call.signal.aborted).toBe(true));
  });

  it('is cancelled to its end', async () => {
    const { images, firstEntered, secondEntered } = await startHops(forEver);
    const controller = new AbortController();
    const outcome = images.list({}, { signal: controller.signal }).catch(kindOf);
    const calls = [await firstEntered, await secondEntered];
    expect(calls.map((call) => call.signal.aborted)).toEqual([false, false]);
    controller.abort();
    expect(await outcome).toBe('Canceled');
    await vi.waitFor(() => expect(calls.map((call) => call.signal.aborted)).toEqual([true, true]));
  });

  it('fails with the error of its end', async () => {
    const { images } = await startHops(() => Promise.reject(notFound('image "a"')));
    await expect(images.list({})).rejects.toMatchObject({
      kind: 'NotFound',
      message: 'image "a": not found',
    });
  });
});
