import { makeBusyboxImage, pushImage } from '@longshore/local';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listenToEvents } from '../harness/event-listener.ts';
import { type PeerContainerd, startContainerd } from '../harness/peer-containerd.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { readStream } from '../harness/stream-reader.ts';
import { waitUntil } from '../harness/wait-until.ts';

const SOON = { timeout: 10_000 };

let stack: Stack;
let peer: PeerContainerd;
let busybox: string;

beforeAll(async () => {
  [stack, peer] = await Promise.all([startStack(), startContainerd()]);
  busybox = await pushImage(stack.registry.host, 'test/busybox', '1', await makeBusyboxImage());
  for (const { ctr } of [stack, peer]) await ctr.ok(['image', 'pull', '--plain-http', busybox]);
});
afterAll(async () => {
  await peer?.ctr.removeContainers();
  await peer?.[Symbol.asyncDispose]();
  await stack?.close();
});

/** Lines about a container. */
async function scrape(url: string, id: string): Promise<{ samples: string[]; types: string[] }> {
  const lines = (await (await fetch(url)).text()).split('\n');
  const samples = lines.filter((line) => line.includes(`container_id="${id}"`));
  const names = new Set(samples.map((line) => line.slice(0, line.indexOf('{'))));
  const types = lines.filter((line) => line.startsWith('# TYPE') && names.has(line.split(' ')[2]!));
  return { samples, types };
}

/** Name and labels, but for the values of those that tell of the machine and of when it was asked. */
function shapesOf(samples: string[]): string[] {
  const shapes = samples.map((line) => {
    const [, name, labels] = /^(\w+)\{(.*)\} /.exec(line)!;
    const pairs = [...labels!.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, value]) =>
      ['op', 'device', 'major', 'minor'].includes(label!) ? label : `${label}=${value}`,
    );
    return `${name} ${pairs.toSorted().join(' ')}`;
  });
  return [...new Set(shapes)].toSorted();
}

const metricsUrl = () => stack.services.addresses('agent').metrics!;

describe('series of containers', () => {
  it('are what a containerd has of such a container: names, types, labels', async () => {
    // Block devices are listed once there was something to write.
    const script = 'dd if=/dev/zero of=/file bs=64k count=4 conv=fsync; sleep 1000';
    const run = ['run', '-d', busybox, 'measured', 'sh', '-c', script];
    await Promise.all([stack.ctr.ok(run), peer.ctr.ok(run)]);
    await expect.poll(async () => (await scrape(peer.metricsUrl, 'measured')).samples, SOON).not.toEqual([]);
    await expect
      .poll(async () => {
        const [theirs, ours] = await Promise.all([
          scrape(peer.metricsUrl, 'measured'),
          scrape(metricsUrl(), 'measured'),
        ]);
        const [shapes, types] = [shapesOf(ours.samples), ours.types];
        return [
          ...shapesOf(theirs.samples).filter((shape) => !shapes.includes(shape)),
          ...theirs.types.filter((type) => !types.includes(type)),
        ];
      }, SOON)
      .toEqual([]);
    const { samples } = await scrape(peer.metricsUrl, 'measured');
    expect(shapesOf(samples).length).toBeGreaterThan(10);
    await stack.ctr.ok(['task', 'rm', '-f', 'measured']);
    expect((await scrape(metricsUrl(), 'measured')).samples).toEqual([]);
  });

  it('count what ran out of memory: once for subscribers, in the stream and in the series', async () => {
    await using stream = await readStream(stack.nats);
    using events = await listenToEvents(stack.ctr, 'topic=="/tasks/oom"');
    const limit = String(32 * 1024 * 1024);
    // The shell outlives what the kernel kills.
    const script = 'tail /dev/zero; sleep 1000';
    await stack.ctr.ok(['run', '-d', '--memory-limit', limit, busybox, 'greedy', 'sh', '-c', script]);
    const counted = async () => {
      const { samples } = await scrape(metricsUrl(), 'greedy');
      const line = samples.find((sample) => sample.startsWith('container_memory_oom_total{'));
      return Number(line?.split(' ').at(-1) ?? 0);
    };
    await expect.poll(counted, SOON).toBe(1);
    const streamed = () => stream.topicsOf('greedy').filter((topic) => topic === '/tasks/oom').length;
    expect(await waitUntil(() => streamed() > 0)).toBe(true);
    expect(await stack.ctr.ok(['task', 'exec', '--exec-id', 'alive', 'greedy', 'echo', 'on'])).toBe('on\n');
    expect([events.lines().length, streamed(), await counted()]).toEqual([1, 1, 1]);
    await stack.ctr.ok(['task', 'rm', '-f', 'greedy']);
  });
});
