import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Task } from '@longshore/proto/containerd/task/v3/shim';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTtrpcClient, type TtrpcClient } from './client.ts';
import { dialTtrpc, type TtrpcConnection } from './client-connection.ts';

const TASK_V2 = 'containerd.task.v2.Task';
const metadata = { 'containerd-namespace-ttrpc': 'ttrpc-test' };

function onPath(name: string): string {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(directory, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not here; the next directory may have it.
    }
  }
  throw new Error(`${name} must be on PATH`);
}

describe("Debian's runc shim", () => {
  let bundle: string;
  let log: number;
  let connection: TtrpcConnection;
  let task: TtrpcClient<typeof Task>;

  beforeEach(async () => {
    bundle = mkdtempSync(join(tmpdir(), 'ttrpc-shim-'));
    writeFileSync(join(bundle, 'config.json'), '{}');
    execFileSync('mkfifo', [join(bundle, 'log')]);
    // The shim opens its log for writing and waits for a reader.
    log = openSync(join(bundle, 'log'), constants.O_RDWR | constants.O_NONBLOCK);
    const events = join(bundle, 'events.ttrpc');
    const flags = ['-namespace', 'ttrpc-test', '-address', join(bundle, 'grpc'), '-publish-binary', 'true'];
    const started = spawnSync(onPath('containerd-shim-runc-v2'), [...flags, '-id', 'web', 'start'], {
      cwd: bundle,
      encoding: 'utf8',
      env: { ...process.env, TTRPC_ADDRESS: events },
    });
    expect(started.stderr).toBe('');
    connection = await dialTtrpc(started.stdout.trim().replace('unix://', ''));
    task = createTtrpcClient(Task, connection, { serviceName: TASK_V2 });
  });

  afterEach(async () => {
    if (!connection.isClosed) await task.shutdown({ id: 'web' }, { metadata }).catch(() => undefined);
    await connection.closed;
    closeSync(log);
    rmSync(bundle, { recursive: true });
  });

  it('answers unary calls', async () => {
    const { shimPid, taskPid } = await task.connect({ id: 'web' }, { metadata, timeoutMs: 5_000 });
    expect(shimPid).toBeGreaterThan(1);
    expect(taskPid).toBe(0);
    expect(execFileSync('cat', [`/proc/${shimPid}/cmdline`], { encoding: 'utf8' })).toContain('ttrpc-test');
  });

  it('answers errors with its status', async () => {
    const state = task.state({ id: 'web' }, { metadata });
    await expect(state).rejects.toMatchObject({ kind: 'NotFound', message: expect.stringMatching(/not/) });
    const v3 = createTtrpcClient(Task, connection);
    await expect(v3.connect({ id: 'web' }, { metadata })).rejects.toMatchObject({ kind: 'Unimplemented' });
  });

  it('ends the connection when it is shut down', async () => {
    await task.shutdown({ id: 'web' }, { metadata }).catch(() => undefined);
    await connection.closed;
    await expect(task.connect({ id: 'web' })).rejects.toMatchObject({ message: 'ttrpc: closed' });
  });

  it('reads a request of the largest size', async () => {
    const call = task.state({ id: 'x'.repeat(4 * 1024 * 1024 - 200) }, { metadata });
    await expect(call).rejects.toMatchObject({ kind: 'NotFound' });
  });
});
