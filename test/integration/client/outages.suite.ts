import { readdirSync, readFileSync } from 'node:fs';
import { type Client, nullIo, streams } from '@longshore/client';
import { kindOf } from '@longshore/errors';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Collected } from './collected.ts';
import { freshId, openClient, type Server, scripted } from './server.ts';

export interface Restart {
  /** kill -9; resolves when it serves again. */
  restart(): Promise<void>;
}

/** A node whose agent is killed under its clients. */
export function agentRestartSuite(serverOf: () => Server, agent: Restart): void {
  describe('a node whose agent is killed', () => {
    let server: Server;
    let client: Client;
    beforeAll(() => {
      server = serverOf();
      client = openClient(server);
    });
    afterAll(() => client?.close());

    it('answers who waits when it is back, unless nobody wants to wait so long', async () => {
      const id = freshId();
      const script = 'read line; echo "$line"; exit 9';
      await using container = await client.newContainer(id, ...(await scripted(server, client, id, script)));
      const stdout = new Collected();
      const typed = Promise.withResolvers<void>();
      async function* stdin() {
        await typed.promise;
        yield 'typed\n';
      }
      const task = await container.newTask(streams({ stdin: stdin(), stdout }));
      await task.start();
      const exit = task.wait();
      using hasty = openClient(server, { outageMs: 0 });
      const refused = (await (await hasty.container(id)).task()).wait();
      using events = await client.events.open();
      const ended = expect(Array.fromAsync(events)).rejects.toMatchObject({ kind: 'Unavailable' });
      const stop = new AbortController();
      const types: string[] = [];
      const watching = (async () => {
        for await (const { type } of client.watch('containers', stop.signal)) {
          types.push(type);
          if (types.indexOf('reset') < types.lastIndexOf('synced') && types.includes('reset')) return;
        }
      })();
      await expect.poll(() => types).toContain('synced');
      await agent.restart();
      await expect(refused).rejects.toMatchObject({ kind: 'Unavailable' });
      await Promise.all([ended, watching]);
      expect(types.filter((type) => type !== 'put')).toEqual(['synced', 'reset', 'synced']);
      typed.resolve();
      expect((await exit).code).toBe(9);
      await task.delete();
      expect(stdout.text).toBe('typed\n');
    });
  });
}

/** Output does not hang, nor does who waits, when the process that holds a container is killed. */
export function shimDeathSuite(serverOf: () => Server): void {
  it('ends streams and waits when the shim is killed', async () => {
    const server = serverOf();
    using client = openClient(server);
    const id = freshId();
    await using container = await client.newContainer(
      id,
      ...(await scripted(server, client, id, 'echo here; sleep 1000')),
    );
    const stdout = new Collected();
    const task = await container.newTask(streams({ stdout }));
    await task.start();
    await expect.poll(() => stdout.text).toBe('here\n');
    const exit = task.wait();
    process.kill(shimOf(task.pid), 'SIGKILL');
    await task.io?.outputEnded;
    // How it ended only its shim could have told; neither is the task's end in sight of who asked it.
    await Promise.allSettled([exit]);
    const state = () =>
      container
        .task()
        .then((found) => found.status())
        .then((status) => status.state, kindOf);
    await expect.poll(state).toMatch(/^(stopped|NotFound)$/);
  });

  it('makes no task where its streams cannot be', async () => {
    const server = serverOf();
    using client = openClient(server, { fifoDirectory: '/dev/null/nowhere' });
    const id = freshId();
    await using container = await client.newContainer(id, ...(await scripted(server, client, id, 'true')));
    await expect(container.newTask(streams({ stdout: new Collected() }))).rejects.toThrow(/ENOTDIR/);
    const task = await container.newTask(nullIo());
    await task.delete({ kill: true });
  });
}

/** The parent of a task's first process. */
function shimOf(pid: number): number {
  expect(readdirSync('/proc')).toContain(String(pid));
  return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
