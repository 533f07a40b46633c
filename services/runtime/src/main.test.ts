import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { createTestDatabase } from '@longshore/postgres/testing';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Channel, createClient } from '@longshore/rpc';
import { describe, expect, it, onTestFinished } from 'vitest';

const { PATH, NODE_COMPILE_CACHE } = process.env;
const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

function run(env: NodeJS.ProcessEnv, ...args: string[]) {
  const child = fork(MAIN, args, { env: { PATH, NODE_COMPILE_CACHE, ...env }, stdio: 'pipe', execArgv: [] });
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  return { child, exited, stdout: text(child.stdout!), stderr: text(child.stderr!) };
}

describe('the process', () => {
  it('explains itself', async () => {
    const { exited, stdout } = run({}, '--help');
    expect(await exited).toBe(0);
    for (const name of ['DATABASE_URL', 'LONGSHORE_RUNTIME_LISTEN', 'LONGSHORE_CONTENT_ADDRESS']) {
      expect(await stdout).toContain(name);
    }
  });

  it('says what is wrong with its configuration', async () => {
    const { exited, stderr } = run({ LONGSHORE_LOG_LEVEL: 'loud' });
    expect(await exited).toBe(2);
    expect(await stderr).toMatch(
      /logLevel \(LONGSHORE_LOG_LEVEL\)[\s\S]*databaseUrl \(DATABASE_URL\): is required/,
    );
  });

  it('announces itself, serves, and leaves nothing behind', async () => {
    const state = mkdtempSync(join(tmpdir(), 'longshore-runtime-'));
    const database = await createTestDatabase();
    onTestFinished(async () => {
      await database.drop();
      rmSync(state, { recursive: true });
    });
    const env = {
      DATABASE_URL: database.url,
      LONGSHORE_STATE: state,
      LONGSHORE_ROOT: join(state, 'root'),
      LONGSHORE_LOG_LEVEL: 'debug',
    };
    const { child, exited, stdout } = run(env);
    expect((await once(child, 'message'))[0]).toEqual({ ready: true });
    const path = join(state, 'runtime.json');
    const { pid, addresses } = JSON.parse(readFileSync(path, 'utf8'));
    expect(pid).toBe(child.pid);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(addresses.grpc).toBe(`unix://${state}/runtime.sock`);

    const channel = new Channel(addresses.grpc);
    onTestFinished(() => channel.close());
    const trace = '0af7651916cd43dd8448eb211c80319c';
    const headers = {
      'containerd-namespace': 'default',
      'x-request-id': 'mine',
      traceparent: `00-${trace}-b7ad6b7169203331-01`,
    };
    await createClient(Containers, channel).list({}, { headers });
    const metrics = await (await fetch(addresses.metrics)).text();
    expect(metrics).toMatch(/longshore_rpc_duration_seconds_count\{.*method="List".*code="0".*\} 1/);
    const health = await fetch(addresses.metrics.replace('/metrics', '/healthz'));
    expect(health.status).toBe(200);

    child.disconnect();
    expect(await exited).toBe(0);
    expect(existsSync(path)).toBe(false);
    expect(existsSync(join(state, 'runtime.sock'))).toBe(false);
    const lines = (await stdout).trim().split('\n');
    const logged = lines.map((line) => JSON.parse(line)).find(({ msg }) => msg === 'call');
    expect(logged).toMatchObject({
      method: '/containerd.services.containers.v1.Containers/List',
      code: 0,
      request_id: 'mine',
      trace_id: trace,
    });
  });

  it('ends with an error while Postgres is away, for its supervisor to try again', async () => {
    const { exited, stdout } = run({
      DATABASE_URL: 'postgres://u@127.0.0.1:1/db',
      LONGSHORE_STATE: tmpdir(),
      LONGSHORE_ROOT: tmpdir(),
    });
    expect(await exited).toBe(1);
    expect(await stdout).toContain('database: connect ECONNREFUSED');
  });
});
