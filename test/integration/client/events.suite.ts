import { type Change, type Client, nullIo, type ServerEvent } from '@longshore/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshId, openClient, type Server, scripted } from './server.ts';

export function eventsSuite(serverOf: () => Server): void {
  describe('events', () => {
    let server: Server;
    let client: Client;
    beforeAll(() => {
      server = serverOf();
      client = openClient(server);
    });
    afterAll(() => client?.close());

    async function run(id: string): Promise<void> {
      const made = await client.newContainer(id, ...(await scripted(server, client, id, 'exit 9')));
      await using container = made;
      const task = await container.newTask(nullIo());
      await task.start();
      await task.wait();
      await task.delete();
    }

    it('are heard from the moment in which they are asked for, decoded, in their order', async () => {
      const id = freshId();
      using events = await client.events.open();
      await run(id);
      const heard: ServerEvent[] = [];
      for await (const event of events) {
        heard.push(event);
        if (event.topic === '/containers/delete') break;
      }
      expect(heard.every(({ namespace }) => namespace === 'default')).toBe(true);
      const topics = heard.map(({ topic }) => topic).filter((topic) => /^.(containers|tasks)/.test(topic));
      expect(topics).toEqual([
        '/containers/create',
        '/tasks/create',
        '/tasks/start',
        '/tasks/exit',
        '/tasks/delete',
        '/containers/delete',
      ]);
      const exit = heard.find(({ topic }) => topic === '/tasks/exit')?.data;
      expect(exit?.$typeName).toBe('containerd.events.TaskExit');
      if (exit?.$typeName === 'containerd.events.TaskExit') {
        expect(exit).toMatchObject({ containerId: id, exitStatus: 9 });
      }
    });

    it('are only those that filters let through, and of others too when they are asked for', async () => {
      const signal = AbortSignal.timeout(60_000);
      const other = client.in({ namespace: 'others' });
      using own = await client.events.open({ filters: ['topic==/acme/one', 'topic==/acme/two'], signal });
      using all = await client.events.open({ filters: ['topic~=^/acme/'], allNamespaces: true, signal });
      const event = { typeUrl: 'acme.Thing', value: Buffer.from('bytes') };
      await other.events.publish('/acme/one', event);
      await client.events.publish('/acme/three', event);
      await client.events.publish('/acme/two', event);
      const [first] = await take(own, 1);
      expect(first).toMatchObject({ topic: '/acme/two', namespace: 'default', data: undefined });
      expect(Buffer.from(first!.raw.value).toString()).toBe('bytes');
      const three = await take(all, 3);
      expect(three.map(({ namespace, topic }) => [namespace, topic])).toEqual([
        ['others', '/acme/one'],
        ['default', '/acme/three'],
        ['default', '/acme/two'],
      ]);
    });

    it('end with their signal, and are refused for a filter that is none', async () => {
      const stop = new AbortController();
      const reading = Array.fromAsync(client.events.subscribe({ signal: stop.signal }));
      const ended = expect(reading).rejects.toMatchObject({ kind: 'Canceled' });
      stop.abort();
      await ended;
      await expect(client.events.open({ filters: ['topic~="("'] })).rejects.toThrow(/filter/);
    });

    it('keep a watch true: what there is, then what changes, without a gap', async () => {
      const [before, after] = [freshId(), freshId()];
      const make = async (id: string) =>
        client.newContainer(id, ...(await scripted(server, client, id, 'true')));
      await using _ = await make(before);
      const stop = new AbortController();
      const known = new Map<string, string | undefined>();
      let added: ReturnType<typeof make> | undefined;
      let isRemoved = false;
      for await (const change of client.watch('containers', stop.signal)) {
        apply(known, change);
        if (change.type === 'synced') {
          expect(known.has(before)).toBe(true);
          added = make(after);
        }
        if (change.type === 'put' && change.key === after && change.item.labels.tier === undefined) {
          await (await added!).setLabels({ tier: 'x' });
        }
        if (change.type === 'put' && change.item.labels.tier === 'x' && !isRemoved) {
          isRemoved = true;
          await (await added!).delete({ snapshot: true });
        }
        if (change.type === 'removed' && change.key === after) break;
      }
      expect(known.has(before)).toBe(true);
      expect(known.has(after)).toBe(false);
    });
  });
}

function apply<T>(known: Map<string, unknown>, change: Change<T>): void {
  if (change.type === 'put') known.set(change.key, change.item);
  if (change.type === 'removed') known.delete(change.key);
}

async function take(events: AsyncIterable<ServerEvent>, count: number): Promise<ServerEvent[]> {
  const taken: ServerEvent[] = [];
  for await (const event of events) {
    taken.push(event);
    if (taken.length === count) break;
  }
  return taken;
}
