import { PassThrough } from 'node:stream';
import { type Client, keptIo, nullIo, streams, user } from '@longshore/client';
import { withTty } from '@longshore/oci/runtime-spec';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Collected } from './collected.ts';
import type { Restart } from './outages.suite.ts';
import { freshId, openClient, type Server, scripted } from './server.ts';

/** What is its own of a fleet's gateway over TCP, for a caller who shares no file with the node. */
export function edgeSuite(serverOf: () => Server, nodeOf: () => string, agent: Restart): void {
  describe('a fleet, by its gateway over TCP with a token', () => {
    let server: Server;
    /** Of the fleet: no node is meant. */
    let fleet: Client;
    let client: Client;
    beforeAll(() => {
      server = serverOf();
      fleet = openClient(server);
      client = fleet.in({ node: nodeOf() });
    });
    afterAll(() => fleet?.close());

    it('knows nobody without a token, or with a wrong one', async () => {
      using nobody = openClient(server, { token: 'lst_nobody_x' });
      await expect(nobody.images.list()).rejects.toMatchObject({ kind: 'Unauthenticated' });
      using renewed = openClient(server, { token: async () => String(server.options.token) });
      expect((await renewed.version()).version).not.toBe('');
    });

    it('joins streams to a task and its further processes', async () => {
      const id = freshId();
      const script = 'echo out; echo err >&2; read line; echo "got $line"; sleep 1000 & wait';
      const made = await client.newContainer(id, ...(await scripted(server, client, id, script)));
      await using container = made;
      const [stdout, stderr, said] = [new Collected(), new Collected(), new Collected()];
      async function* stdin() {
        yield 'a line\n';
      }
      const task = await container.newTask(streams({ stdin: stdin(), stdout, stderr }));
      const exit = task.wait();
      await task.start();
      await expect.poll(() => stdout.text).toBe('out\ngot a line\n');
      await expect.poll(() => stderr.text).toBe('err\n');
      // Whoever finds it by its id alone.
      const found = await (await fleet.container(id)).task();
      const process = await container.processSpec(['sh', '-c', 'cat; exit 6']);
      const exec = await found.exec('e1', process, streams({ stdin: stdin(), stdout: said }));
      const ended = exec.wait();
      await exec.start();
      expect(exec.pid).toBeGreaterThan(0);
      expect((await ended).code).toBe(6);
      expect((await exec.delete()).code).toBe(6);
      expect(said.text).toBe('a line\n');
      const sleeper = await found.exec('e2', await container.processSpec(['sleep', '1000']), streams({}));
      await sleeper.start();
      await sleeper.kill('SIGKILL');
      expect((await sleeper.wait()).code).toBe(137);
      await task.kill('SIGKILL', { all: true });
      expect((await exit).code).toBe(137);
      expect((await task.delete()).code).toBe(137);
    });

    it('has its node look users up by their names', async () => {
      const id = freshId();
      const script = 'id -u; id -G; read line';
      const parts = await scripted(server, client, id, script, user('app'));
      await using container = await client.newContainer(id, ...parts);
      const [stdout, said] = [new Collected(), new Collected()];
      const task = await container.newTask(streams({ stdin: new PassThrough(), stdout }));
      await task.start();
      await expect.poll(() => stdout.text).toBe('1000\n1000 50\n');
      const who = await container.processSpec(['id', '-u']);
      const exec = await task.exec('e1', who, streams({ stdout: said }), { user: 'nobody' });
      const exit = exec.wait();
      await exec.start();
      expect((await exit).code).toBe(0);
      await exec.io?.outputEnded;
      expect(said.text).toBe('65534\n');
      const group = await container.processSpec(['sh', '-c', 'exit $(id -g)']);
      const detached = await task.exec('e2', group, nullIo(), { user: 'app:staff' });
      const ended = detached.wait();
      await detached.start();
      expect((await ended).code).toBe(50);
      await detached.delete();
      const nobody = { user: 'no-such-user' };
      await expect(task.exec('e3', who, nullIo(), nobody)).rejects.toMatchObject({ kind: 'NotFound' });
    });

    it('keeps output for its logs and for who attaches', async () => {
      const id = freshId();
      const script = 'echo one; read line; echo "two $line"; stty size; exit 8';
      const made = await client.newContainer(id, ...(await scripted(server, client, id, script, withTty)));
      await using container = made;
      const task = await container.newTask(keptIo({ stdin: true, terminal: true }));
      await task.start();
      const stdout = new Collected();
      const typed = Promise.withResolvers<void>();
      async function* stdin() {
        await typed.promise;
        yield 'more\n';
        await new Promise(() => undefined);
      }
      const io = streams({ stdin: stdin(), stdout, terminal: true });
      const attached = await (await client.container(id)).task({ io, withLog: true });
      await expect.poll(() => stdout.text).toMatch(/^one\r\n/);
      await attached.resize(61, 19);
      typed.resolve();
      expect((await attached.wait()).code).toBe(8);
      await attached.io?.outputEnded;
      expect(stdout.text).toMatch(/two more\r\n19 61\r\n$/);
      const parts = await Array.fromAsync(container.logs({ follow: true }));
      expect(parts.map(({ data }) => Buffer.from(data)).join('')).toBe(stdout.text);
      await attached.delete();
    });

    it('joins streams again where they were when the agent was killed', async () => {
      const id = freshId();
      const script = 'echo before; read line; echo "after $line"; exit 3';
      const made = await client.newContainer(id, ...(await scripted(server, client, id, script)));
      await using container = made;
      const stdout = new Collected();
      const typed = Promise.withResolvers<void>();
      async function* stdin() {
        await typed.promise;
        yield 'typed\n';
      }
      const task = await container.newTask(streams({ stdin: stdin(), stdout }));
      await task.start();
      const exit = task.wait();
      await expect.poll(() => stdout.text).toBe('before\n');
      await agent.restart();
      typed.resolve();
      expect((await exit).code).toBe(3);
      await task.delete();
      expect(stdout.text).toBe('before\nafter typed\n');
    });

    it('lists over all nodes, hears the events of one, and wants a node for what is made', async () => {
      const id = freshId();
      const options = await scripted(server, client, id, 'true');
      await expect(fleet.newContainer(id, ...options.slice(2))).rejects.toMatchObject({
        kind: 'InvalidArgument',
      });
      using events = await client.events.open({
        filters: [`topic==${JSON.stringify('/containers/create')}`],
      });
      await using container = await client.newContainer(id, ...options);
      for await (const { data } of events) if (data && 'id' in data && data.id === id) break;
      const found = await Array.fromAsync(fleet.containers({ filter: `id==${id}` }));
      expect(found.map(({ node }) => node)).toEqual([nodeOf()]);
      const task = await container.newTask(nullIo());
      await task.start();
      expect((await task.wait()).code).toBe(0);
      await task.delete();
      await expect(fleet.watch('containers')[Symbol.asyncIterator]().next()).rejects.toMatchObject({
        kind: 'InvalidArgument',
      });
      const stop = new AbortController();
      for await (const { type } of client.watch('containers', stop.signal)) if (type === 'synced') break;
    });
  });
}
