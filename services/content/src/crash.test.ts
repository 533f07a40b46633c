import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { digestOf } from '@longshore/oci';
import { createTestDatabase, type TestDatabase } from '@longshore/postgres/testing';
import { Content, WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { Channel, createClient } from '@longshore/rpc';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callOf, WriteSession } from './testing/content-fixture.ts';

const { COMMIT, STAT, WRITE } = WriteAction;
const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

let database: TestDatabase;
let directory: string;
let service: ChildProcess;
let channel: Channel;
let content: ReturnType<typeof createClient<typeof Content>>;

beforeAll(async () => {
  database = await createTestDatabase();
  directory = await mkdtemp(join(tmpdir(), 'longshore-crash-'));
});

afterAll(async () => {
  await database.drop();
  await rm(directory, { recursive: true });
});

beforeEach(start);

afterEach(kill);

async function start(): Promise<void> {
  const env = {
    ...process.env,
    DATABASE_URL: database.url,
    LONGSHORE_ROOT: directory,
    LONGSHORE_STATE: directory,
  };
  service = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    service.once('exit', () => reject(new Error('the service has not started')));
    service.stdout?.on('data', (line) => String(line).includes('"ready"') && resolve());
  });
  channel = new Channel(`unix://${join(directory, 'content.sock')}`);
  content = createClient(Content, channel);
}

async function kill(): Promise<void> {
  channel.close();
  if (service.exitCode !== null || service.signalCode !== null) return;
  service.kill('SIGKILL');
  await once(service, 'exit');
}

async function read(digest: string): Promise<string> {
  const messages = await Array.fromAsync(content.read({ digest }, callOf()));
  return Buffer.concat(messages.map(({ data }) => data)).toString();
}

describe('a service killed with SIGKILL', () => {
  it('gives the ref to a new writer at once, at the offset that was durable', async () => {
    const session = new WriteSession(content, callOf());
    await session.send({ ref: 'r', total: 9n, action: WRITE, data: Buffer.from('abc') });
    expect(await session.send({ action: STAT })).toMatchObject({ offset: 3n });
    await kill();
    await session.end().catch(() => undefined);
    await start();
    const resumed = new WriteSession(content, callOf());
    expect(await resumed.send({ ref: 'r', total: 9n })).toMatchObject({
      offset: 3n,
      digest: digestOf('abc'),
    });
    await resumed.send({
      action: COMMIT,
      offset: 3n,
      data: Buffer.from('defghi'),
      expected: digestOf('abcdefghi'),
    });
    await resumed.end();
    expect(await read(digestOf('abcdefghi'))).toBe('abcdefghi');
  });

  it('has every commit that it answered', async () => {
    const session = new WriteSession(content, callOf());
    await session.send({
      ref: 'committed',
      action: COMMIT,
      data: Buffer.from('committed'),
      labels: { a: '1' },
    });
    await kill();
    await session.end().catch(() => undefined);
    await start();
    expect(await read(digestOf('committed'))).toBe('committed');
    const { info } = await content.info({ digest: digestOf('committed') }, callOf());
    expect(info?.labels).toEqual({ a: '1' });
  });
});
