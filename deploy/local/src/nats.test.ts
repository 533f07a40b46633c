import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { guard } from './guard.ts';
import { type Nats, startNats } from './nats.ts';
import { processInfo } from './proc-table.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'longshore-nats-'));
  guard().removeWithUs(dir);
});
afterAll(() => rmSync(dir, { recursive: true }));

const open = (nats: Nats) =>
  connect({ servers: nats.url, user: nats.user, pass: nats.password, reconnect: false });

describe('startNats', () => {
  it('lets nobody in without its password, which only root can read', async () => {
    await using nats = await startNats(join(dir, 'a'));
    await expect(connect({ servers: nats.url, reconnect: false })).rejects.toThrow(/authorization/i);
    await (await open(nats)).close();
    expect(statSync(nats.passwordFile).mode & 0o777).toBe(0o600);
  });

  it('keeps password and messages, and the port if asked to, also over a kill', async () => {
    const first = await startNats(join(dir, 'b'));
    const one = await open(first);
    await (await jetstreamManager(one)).streams.add({ name: 'S', subjects: ['s'] });
    await jetstream(one).publish('s', 'hello');
    first.process.child.kill('SIGKILL');
    await first.process.exited;
    await one.closed();

    await using second = await startNats(join(dir, 'b'), { port: first.port });
    expect(second).toMatchObject({ url: first.url, password: first.password });
    const two = await open(second);
    const { state } = await (await jetstreamManager(two)).streams.info('S');
    expect(state.messages).toBe(1);
    await two.close();
  });

  it('ends a server that a killed process left there', async () => {
    const left = await startNats(join(dir, 'c'));
    await using nats = await startNats(join(dir, 'c'));
    expect(processInfo(left.process.pid)).toBeUndefined();
    await (await open(nats)).close();
  });
});
