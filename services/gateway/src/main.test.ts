import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createTestDatabase } from '@longshore/postgres/testing';
import { Version } from '@longshore/proto/containerd/services/version/v1/version';
import { Channel, createClient } from '@longshore/rpc';
import { expect, it, onTestFinished } from 'vitest';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

it('runs as a process: announces both addresses, serves, and leaves only its token behind', async () => {
  const state = mkdtempSync(join(tmpdir(), 'longshore-gateway-'));
  const database = await createTestDatabase();
  const env = {
    PATH: process.env.PATH,
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
    DATABASE_URL: database.url,
    LONGSHORE_STATE: state,
    LONGSHORE_ROOT: join(state, 'root'),
    LONGSHORE_LOG_LEVEL: 'warn',
  };
  const child = fork(MAIN, [], { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] });
  const exited = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
    await database.drop();
    rmSync(state, { recursive: true });
  });
  expect((await once(child, 'message'))[0]).toEqual({ ready: true });
  const { addresses } = JSON.parse(readFileSync(join(state, 'gateway.json'), 'utf8'));
  expect(addresses).toMatchObject({
    grpc: `unix://${state}/gateway.sock`,
    http: expect.stringMatching(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/),
  });

  const channel = new Channel(addresses.grpc);
  onTestFinished(() => channel.close());
  const { version } = await createClient(Version, channel).version({});
  const token = readFileSync(join(state, 'root/gateway.token'), 'utf8').trim();
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${addresses.http}/v1/version`, { headers });
  expect(await response.json()).toMatchObject({ version });

  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
  for (const file of ['gateway.json', 'gateway.sock', 'gateway-own.sock']) {
    expect(existsSync(join(state, file))).toBe(false);
  }
});
