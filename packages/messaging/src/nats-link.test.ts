import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NatsLink } from './nats-link.ts';
import { TestNatsServer } from './testing.ts';

let server: TestNatsServer;

beforeAll(async () => {
  server = await TestNatsServer.start();
});

afterAll(async () => {
  await server.close();
});

describe('NatsLink', () => {
  it('connects again after the server was away, and prepares each connection', async () => {
    let prepared = 0;
    const prepare = async () => {
      prepared++;
    };
    await using link = new NatsLink({ servers: [server.url], name: 'test', prepare });
    const first = await link.connected();
    await server.restart();
    await first.closed();
    const second = await link.connected(AbortSignal.timeout(10_000));
    expect(second).not.toBe(first);
    expect(link.connection).toBe(second);
    expect(prepared).toBe(2);
  });

  it('fails what is in flight at once when the connection breaks', async () => {
    await using link = new NatsLink({ servers: [server.url], name: 'test' });
    const connection = await link.connected();
    connection.subscribe('silent');
    const request = connection.request('silent', '', { timeout: 60_000 });
    const failed = expect(request).rejects.toThrow();
    await connection.flush();
    await server.kill();
    await failed;
    await server.restart();
  });

  it('waits for a server that is not there yet', async () => {
    await server.kill();
    const errors: unknown[] = [];
    const { promise: tried, resolve } = Promise.withResolvers<void>();
    const onChange = (error?: unknown) => {
      if (error === undefined) return;
      errors.push(error);
      resolve();
    };
    await using link = new NatsLink({ servers: [server.url], name: 'test', onChange });
    await tried;
    expect(link.connection).toBeUndefined();
    await server.restart();
    await link.connected(AbortSignal.timeout(10_000));
    expect(errors.length).toBeGreaterThan(0);
  });

  it('does not hand out a connection that could not be prepared', async () => {
    let attempts = 0;
    const prepare = async () => {
      attempts++;
      if (attempts < 3) throw new Error('not yet');
    };
    await using link = new NatsLink({ servers: [server.url], name: 'test', prepare });
    await link.connected(AbortSignal.timeout(10_000));
    expect(attempts).toBe(3);
  });

  it('stops waiting when the signal aborts or the link is closed', async () => {
    const link = new NatsLink({ servers: ['nats://127.0.0.1:1'], name: 'test' });
    await expect(link.connected(AbortSignal.timeout(20))).rejects.toMatchObject({ name: 'TimeoutError' });
    await expect(link.connectedSoon(new AbortController().signal)).rejects.toMatchObject({
      kind: 'Unavailable',
    });
    const waiting = expect(link.connected()).rejects.toMatchObject({ name: 'AbortError' });
    await link.close();
    await waiting;
  });
});
