import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Client, streams } from '@longshore/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Collected } from './collected.ts';
import { freshId, openClient, type Server } from './server.ts';

const DYING = fileURLToPath(new URL('dying-client.ts', import.meta.url));

/** What is left of a client that is killed: what is left of containerd's own, too. */
export function deathsSuite(serverOf: () => Server): void {
  describe('a client that is killed', () => {
    let server: Server;
    let client: Client;
    const [running, unrecorded] = [freshId(), freshId()];
    beforeAll(async () => {
      server = { ...serverOf(), fifos: `${serverOf().fifos}-dying` };
      client = openClient(server);
      const { runtimeOptions: options, ...rest } = server;
      const runtimeOptions = options && { ...options, value: Buffer.from(options.value) };
      const given = JSON.stringify({ ...rest, runtimeOptions });
      const child = spawn(process.execPath, [DYING, given, running, unrecorded], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await says(child, 'so far\n');
      child.kill('SIGKILL');
      await once(child, 'exit');
    });
    afterAll(() => client?.close());

    it('before its container is recorded: a snapshot, kept by a lease that runs out within a day', async () => {
      await expect(client.container(unrecorded)).rejects.toMatchObject({ kind: 'NotFound' });
      expect((await client.snapshots().stat(unrecorded)).kind).toBe('active');
      const leases = await client.leases.list();
      expect(leases.length).toBe(1);
      const left = Date.parse(leases[0]!.labels['containerd.io/gc.expire']!) - Date.now();
      expect(left / 3_600_000).toBeGreaterThan(23);
      expect(left / 3_600_000).toBeLessThanOrEqual(24);
      // What a collection does then.
      await client.leases.delete(leases[0]!.id, { sync: true });
      await expect(client.snapshots().stat(unrecorded)).rejects.toMatchObject({ kind: 'NotFound' });
    });

    it('while its task runs: a task that runs on, whose streams another takes up', async () => {
      expect(readdirSync(server.fifos).length).toBe(1);
      const stdout = new Collected();
      await using container = await client.container(running);
      const task = await container.task({ io: streams({ stdout }) });
      expect((await task.status()).state).toBe('running');
      const exit = task.wait();
      await task.kill('SIGKILL', { all: true });
      expect((await exit).code).toBe(137);
      await task.delete();
      expect(stdout.writableEnded).toBe(true);
    });
  });
}

async function says(child: ChildProcess, line: string): Promise<void> {
  let text = '';
  for await (const chunk of child.stdout!) {
    text += chunk;
    if (text.includes(line)) return;
  }
  throw new Error(`it ended, having said ${JSON.stringify(text)}`);
}
