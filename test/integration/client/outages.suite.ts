import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { pipeline } from 'node:stream';
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
      // An agent that has just come back may let go of a first list.
      expect(types.filter((type) => type !== 'put').join()).toMatch(/^synced(,reset)+,synced$/);
      typed.resolve();
      expect((await exit).code).toBe(9);
      await task.delete();
      expect(stdout.text).toBe('typed\n');
    });
  });
}

export interface GatewayParts {
  /** Of the gateway; its address is another one after each start. */
  edge(): Server;
  /** The only node's own. */
  node(): Server;
  nodeId(): string;
  /** kill -9. */
  kill(): Promise<void>;
  whenReady(): Promise<void>;
}

/** A gateway that is killed under a client. */
export function gatewayDeathSuite({ edge, node, nodeId, kill, whenReady }: GatewayParts): void {
  it('keeps a watch true over the death of the gateway that it hears through', async () => {
    await using way = await relayTo(() => edge().address);
    using client = openClient({ ...edge(), address: way.address }, { node: nodeId() });
    using there = openClient(node());
    const made = async () => {
      const id = freshId();
      return there.newContainer(id, ...(await scripted(node(), there, id, 'true')));
    };
    await using staying = await made();
    await using going = await made();
    const stack = new AsyncDisposableStack();
    await using _ = stack;
    const known = new Set<string>();
    let late = '';
    let resets = 0;
    for await (const change of client.watch('containers', AbortSignal.timeout(90_000))) {
      if (change.type === 'reset') {
        known.clear();
        resets += 1;
      }
      if (change.type === 'put') known.add(change.key);
      if (change.type === 'removed') known.delete(change.key);
      if (change.type === 'synced' && resets === 0) {
        expect([staying.id, going.id].every((id) => known.has(id))).toBe(true);
        await kill();
        await going.delete({ snapshot: true });
        late = stack.use(await made()).id;
        await whenReady();
      } else if (change.type === 'synced') {
        expect([staying.id, going.id, late].map((id) => known.has(id))).toEqual([true, false, true]);
        await staying.setLabels({ after: 'the outage' });
      }
      if (change.type === 'put' && change.item.labels.after !== undefined) break;
    }
    expect(resets).toBeGreaterThan(0);
  });
}

/** A port that stays, before a server whose own does not. What is on its way is cut when either side ends. */
async function relayTo(addressOf: () => string): Promise<AsyncDisposable & { address: string }> {
  const server = createServer((socket) => {
    const { hostname, port } = new URL(`tcp://${addressOf()}`);
    const upstream = connect(Number(port), hostname);
    // Errors close both.
    pipeline(socket, upstream, socket, () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    address: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
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
