import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { makeBusyboxImage } from '@longshore/local';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Header } from '@longshore/proto/headers';
import { Channel, createClient, type ServiceClient } from '@longshore/rpc';
import { beforeAll, describe, expect, it } from 'vitest';
import { runAllTheWhile } from '../../harness/bystander.ts';
import type { Ctr } from '../../harness/ctr.ts';
import type { Fleet } from '../../harness/fleet.ts';
import { type Inventory, takeInventory } from '../../harness/inventory.ts';
import { UNTIL_TERM } from '../../harness/running-task.ts';
import type { EventStream } from '../../harness/stream-reader.ts';
import type { TestNode } from '../../harness/test-node.ts';
import { waitUntil } from '../../harness/wait-until.ts';

/** Long enough on the way that a crash falls into the middle. */
const LARGE_BYTES = 24 * 1024 * 1024;
const SMALL_BYTES = 4 * 1024 * 1024;
const inDefault = { headers: { [Header.Namespace]: 'default' } };

export interface Surroundings {
  fleet: Fleet;
  /** On all nodes. */
  image: string;
  /** All of the fleet's events. */
  events: EventStream;
}

let fleet: Fleet;
let n1: TestNode;
let n2: TestNode;
let image: string;
let events: EventStream;

/** With a file `/data` of so many bytes in a layer of its own. */
async function pushWithData(name: string, bytes: number): Promise<string> {
  const layers = [[{ path: 'data', type: 'file' as const, content: randomBytes(bytes) }]];
  return fleet.push(`test/${name}`, '1', await makeBusyboxImage({ layers }));
}

const quiet = async ({ ctr }: TestNode, args: string[]) =>
  (await ctr.ok([...args, '-q'])).split('\n').filter(Boolean);

async function ingestsOf({ ctr }: TestNode): Promise<string[]> {
  const [, ...lines] = (await ctr.ok(['content', 'active'])).trim().split('\n');
  return lines.map((line) => line.split(/\s+/)[0] ?? '');
}

/** Of the whole fleet's tables, and of what n2 has on its machine. */
async function inventory(): Promise<Inventory & { layers: number }> {
  const { root, state, socket, cgroupParent, mountInfo } = n2;
  const owned = { databaseUrl: fleet.databaseUrl, root, state, socket, cgroupParent, mountInfo };
  const layers = readdirSync(n2.path(join(root, 'snapshots/overlayfs'))).length;
  return { ...(await takeInventory(owned)), layers };
}

async function expectInventory(before: Awaited<ReturnType<typeof inventory>>): Promise<void> {
  const isSame = async () => JSON.stringify(await inventory()) === JSON.stringify(before);
  await waitUntil(isSame, 30_000);
  expect(await inventory()).toEqual(before);
}

/** Bundles of n2, from the machine itself. */
function bundles(): string[] {
  const directory = n2.path(join(n2.state, 'io.containerd.runtime.v2.task/default'));
  return existsSync(directory) ? readdirSync(directory) : [];
}

/** A snapshot is made before its container, under a lease of a day. */
async function removeWhatClientsLeft(ctr: Ctr, ids: string[]): Promise<void> {
  for (const lease of await quiet(n2, ['leases', 'ls'])) await ctr.ok(['leases', 'rm', '--sync', lease]);
  for (const id of ids) await ctr.run(['snapshot', 'rm', id]);
}

/** One node's client that sweeps everything of its own, again and again, as tools do that want to free a disk. */
function sweep(node: TestNode, content: ServiceClient<typeof Content>) {
  let isOver = false;
  const removed = { images: 0, leases: 0, ingests: 0 };
  const sweeping = (async () => {
    do {
      for (const name of await quiet(node, ['image', 'ls'])) {
        removed.images += (await node.ctr.run(['image', 'rm', '--sync', name])).code === 0 ? 1 : 0;
      }
      for (const lease of await quiet(node, ['leases', 'ls'])) {
        removed.leases += (await node.ctr.run(['leases', 'rm', '--sync', lease])).code === 0 ? 1 : 0;
      }
      const { statuses } = await content.listStatuses({}, inDefault);
      for (const { ref } of statuses) {
        await content.abort({ ref }, inDefault).then(
          () => removed.ingests++,
          () => undefined,
        );
      }
      await node.ctr.ok(['content', 'prune', 'references']);
    } while (!isOver);
  })();
  return {
    async stop() {
      isOver = true;
      await sweeping;
      return removed;
    },
  };
}

/** What `n2`'s death, and then `n1`'s own clients, must not do to the other. For a fleet that nothing has happened to yet. */
export function nodeDeathFaults(surroundings: () => Surroundings): void {
  beforeAll(async () => {
    ({ fleet, image, events } = surroundings());
    [n1, n2] = [fleet.node('n1'), fleet.node('n2')];
    for (const { ctr } of [n1, n2]) await ctr.ok(['run', '--rm', image, 'first', 'true']);
  });

  describe('a node that loses power', () => {
    it('in the middle of a pull: has no half image, and the next pull is whole and leaves nothing else', async () => {
      const large = await pushWithData('mid-pull', LARGE_BYTES);
      const before = await inventory();
      const bystander = runAllTheWhile(n1, image);
      const pull = n2.ctr.start(['image', 'pull', '--plain-http', large]);
      pull.stdout!.resume();
      pull.stderr!.resume();
      const pullEnded = once(pull, 'exit');
      expect(await waitUntil(async () => (await ingestsOf(n2)).some((ref) => ref.startsWith('layer-')))).toBe(
        true,
      );
      pull.kill('SIGKILL');
      await n2.crash();
      await pullEnded;
      expect(await bystander.stop()).toMatchObject({ failures: [] });

      await n2.agent.whenReady();
      expect(await quiet(n2, ['image', 'ls'])).not.toContain(large);
      // As with containerd: what the dead client had is kept by its lease, for a day, so that another can go on with it.
      const orphaned = (await quiet(n2, ['leases', 'ls'])).length;
      console.log('after a crash in mid-pull:', { leases: orphaned, ingests: await ingestsOf(n2) });
      expect(orphaned).toBe(1);

      await n2.ctr.ok(['image', 'pull', '--plain-http', large]);
      expect(await n2.ctr.ok(['run', '--rm', large, 'whole', 'wc', '-c', '/data'])).toContain(
        `${LARGE_BYTES}`,
      );
      expect(await ingestsOf(n2)).toEqual([]);
      await n2.ctr.ok(['image', 'rm', large]);
      for (const lease of await quiet(n2, ['leases', 'ls']))
        await n2.ctr.ok(['leases', 'rm', '--sync', lease]);
      await expectInventory(before);
    });

    it('in the middle of creating containers: each can be removed, and has ended at most once', async () => {
      const before = await inventory();
      await n2.ctr.ok(['run', '-d', image, 'lived', ...UNTIL_TERM]);
      const bystander = runAllTheWhile(n1, image);
      const falling = ['fell-1', 'fell-2', 'fell-3', 'fell-4'];
      const runs = falling.map((id) => n2.ctr.start(['run', '-d', image, id, ...UNTIL_TERM]));
      for (const run of runs) {
        run.stdout!.resume();
        run.stderr!.resume();
      }
      const ended = runs.map((run) => once(run, 'exit'));
      expect(await waitUntil(() => bundles().some((id) => falling.includes(id)))).toBe(true);
      for (const run of runs) run.kill('SIGKILL');
      await n2.crash();
      await Promise.all(ended);
      expect(await bystander.stop()).toMatchObject({ failures: [] });

      await n2.agent.whenReady();
      expect(await n2.ctr.ok(['task', 'ls'])).not.toContain('RUNNING');
      const containers = await quiet(n2, ['container', 'ls']);
      const tasks = await quiet(n2, ['task', 'ls']);
      console.log('after a crash in mid-create:', {
        containers,
        tasks,
        leases: await quiet(n2, ['leases', 'ls']),
      });
      expect(containers).toContain('lived');
      for (const id of tasks) await n2.ctr.run(['task', 'rm', '-f', id]);
      for (const id of containers) await n2.ctr.ok(['container', 'rm', id]);
      await removeWhatClientsLeft(n2.ctr, falling);
      await expectInventory(before);

      const count = (id: string, topic: string) =>
        events.topicsOf(id).filter((each) => each === topic).length;
      expect(await waitUntil(() => count('lived', '/containers/delete') === 1, 20_000)).toBe(true);
      expect(await waitUntil(() => count('lived', '/tasks/exit') > 0, 20_000)).toBe(true);
      expect(count('lived', '/tasks/exit')).toBe(1);
      for (const id of falling) {
        for (const topic of ['create', 'start', 'exit', 'delete']) {
          expect([id, topic, count(id, `/tasks/${topic}`)]).toEqual([
            id,
            topic,
            expect.toSatisfy((n) => n <= 1),
          ]);
        }
        expect(count(id, '/tasks/exit')).toBeGreaterThanOrEqual(count(id, '/tasks/start'));
      }
      expect(new Set(events.seen.map(({ messageId }) => messageId)).size).toBe(events.seen.length);
      expect(await n2.ctr.ok(['run', '--rm', image, 'afterwards', 'echo', 'well'])).toBe('well\n');
    });
  });

  describe("a node's client that sweeps all images, leases and ingests", () => {
    it("takes nothing from another node's pull of the same image", async () => {
      const swept = await pushWithData('swept', SMALL_BYTES);
      for (const { ctr } of [n1, n2]) await ctr.ok(['leases', 'create', '--id', 'kept']);
      // An upload of the same name on both, with more to come.
      const uploads = [n1, n2].map(({ ctr }) => {
        const upload = ctr.start(['content', 'ingest', 'upload']);
        upload.stdin!.on('error', () => undefined).write('half ');
        return { upload, ended: once(upload, 'exit') };
      });
      for (const node of [n1, n2]) {
        expect(await waitUntil(async () => (await ingestsOf(node)).includes('upload'))).toBe(true);
      }
      await n1.ctr.ok(['image', 'pull', '--plain-http', swept]);

      const channel = new Channel(`unix://${n1.socket}`);
      const sweeper = sweep(n1, createClient(Content, channel));
      for (let n = 1; n <= 3; n++) {
        await n2.ctr.ok(['image', 'pull', '--plain-http', swept]);
        expect(await n2.ctr.ok(['run', '--rm', swept, `pulled-${n}`, 'wc', '-c', '/data'])).toContain(
          `${SMALL_BYTES}`,
        );
        if (n < 3) await n2.ctr.ok(['image', 'rm', '--sync', swept]);
      }
      const removed = await sweeper.stop();
      channel.close();
      expect(removed.images).toBeGreaterThanOrEqual(2);
      expect(removed).toMatchObject({ leases: 1, ingests: 1 });
      expect(await quiet(n1, ['image', 'ls'])).toEqual([]);
      expect(await quiet(n1, ['content', 'ls'])).toEqual([]);

      expect(await quiet(n2, ['image', 'ls'])).toEqual(expect.arrayContaining([image, swept]));
      expect(await quiet(n2, ['leases', 'ls'])).toEqual(['kept']);
      expect(await ingestsOf(n2)).toEqual(['upload']);
      for (const { upload } of uploads) upload.stdin!.end('whole');
      const codes = await Promise.all(uploads.map(async ({ ended }) => (await ended)[0]));
      expect([codes[0] !== 0, codes[1]]).toEqual([true, 0]);
      // Nor is the sweeper's own node worse off.
      await n1.ctr.ok(['image', 'pull', '--plain-http', swept]);
      expect(await n1.ctr.ok(['run', '--rm', swept, 'again', 'wc', '-c', '/data'])).toContain(
        `${SMALL_BYTES}`,
      );
      await n2.ctr.ok(['leases', 'rm', 'kept']);
      await n1.ctr.ok(['image', 'pull', '--plain-http', image]);
    });
  });
}
