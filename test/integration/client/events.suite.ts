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
      // What shims tell and what the server itself does are two orders.
      const isLast = { '/tasks/delete': false, '/containers/delete': false };
      for await (const event of events) {
        if (subjectOf(event) !== id) continue;
        heard.push(event);
        if (event.topic in isLast) isLast[event.topic as keyof typeof isLast] = true;
        if (Object.values(isLast).every(Boolean)) break;
      }
      expect(heard.every(({ namespace }) => namespace === 'default')).toBe(true);
      const topics = heard.map(({ topic }) => topic);
      expect(topics.filter((topic) => topic.startsWith('/tasks'))).toEqual([
        '/tasks/create',
        '/tasks/start',
        '/tasks/exit',
        '/tasks/delete',
      ]);
      expect(topics.filter((topic) => topic.startsWith('/containers'))).toEqual([
        '/containers/create',
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
      using own = await client.events.open({ filters: ['topic=="/acme/one"', 'topic=="/acme/two"'], signal });
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
      await expect(client.events.open({ filters: ['='] })).rejects.toThrow(/filter/);
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

    it('keep watches of tasks and of images true', async () => {
      const [id, signal] = [freshId(), AbortSignal.timeout(90_000)];
      const made = await client.newContainer(id, ...(await scripted(server, client, id, 'sleep 1000')));
      await using container = made;
      await using task = await container.newTask(nullIo());
      await task.start();
      const states: string[] = [];
      for await (const change of client.watch('tasks', signal)) {
        if (change.type === 'synced') await task.kill('SIGKILL');
        if (change.type === 'reset' || change.type === 'synced' || change.key !== id) continue;
        const state = change.type === 'put' ? change.item.state : change.type;
        if (state === states.at(-1)) continue;
        states.push(state);
        if (state === 'stopped') await task.delete();
        if (state === 'removed') break;
      }
      expect(states).toEqual(['running', 'stopped', 'removed']);

      const name = `watched.example/${id}:1`;
      const heard: string[] = [];
      for await (const change of client.watch('images', signal)) {
        if (change.type === 'synced') await client.images.tag(server.imageName, name);
        if (change.type === 'put' && change.key === server.imageName) heard.push('listed');
        if (change.type === 'reset' || change.type === 'synced' || change.key !== name) continue;
        const what = change.type === 'put' ? change.item.digest : change.type;
        if (what === 'removed') break;
        if (what !== heard.at(-1)) await (await client.image(name)).delete();
        heard.push(what);
      }
      const { target } = await client.image(server.imageName);
      expect([...new Set(heard)]).toEqual(['listed', target.digest]);
    });
  });
}

/** The container that an event is about. */
function subjectOf({ topic, data }: ServerEvent): string | undefined {
  if (!data || !/^.(containers|tasks)/.test(topic)) return undefined;
  return 'containerId' in data ? data.containerId : 'id' in data ? data.id : undefined;
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
