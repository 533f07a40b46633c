import { type ClientHttp2Session, connect, createServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { OpenStreams, watchPulse } from './pulse.ts';

async function connected(): Promise<{ session: ClientHttp2Session; pings: () => number }> {
  let count = 0;
  const server = createServer().on('session', (session: ServerHttp2Session) => {
    session.on('ping', () => count++).on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => {
    session.destroy();
    server.close();
  });
  return { session, pings: () => count };
}

it('is quick while a stream is open, and slow otherwise', async () => {
  const idle = await connected();
  const busy = await connected();
  const pulse = { everyMs: 20, idleEveryMs: 60_000, timeoutMs: 20_000 };
  const [none, some] = [new OpenStreams(), new OpenStreams()];
  watchPulse(idle.session, pulse, none, () => undefined);
  watchPulse(busy.session, pulse, some, () => undefined);
  const stream = some.begin(busy.session, { ':path': '/', ':method': 'POST' }).on('error', () => undefined);
  await vi.waitFor(() => expect(busy.pings()).toBeGreaterThan(5), 10_000);
  expect(idle.pings()).toBe(0);
  stream.close();
  await new Promise((resolve) => stream.once('close', resolve));
  const before = busy.pings();
  const next = none.begin(idle.session, { ':path': '/', ':method': 'POST' }).on('error', () => undefined);
  await vi.waitFor(() => expect(idle.pings()).toBeGreaterThan(5), 10_000);
  // One may have been on its way.
  expect(busy.pings() - before).toBeLessThanOrEqual(1);
  next.close();
});

it('goes on, slowly, without streams', async () => {
  const { session, pings } = await connected();
  watchPulse(
    session,
    { everyMs: 20, idleEveryMs: 40, timeoutMs: 20_000 },
    new OpenStreams(),
    () => undefined,
  );
  await vi.waitFor(() => expect(pings()).toBeGreaterThan(2), 10_000);
});
