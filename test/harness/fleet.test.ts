import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeBusyboxImage } from '@longshore/local';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Fleet, startFleet } from './fleet.ts';
import { waitUntil } from './wait-until.ts';

const CLOCK_OFFSET_MS = 7 * 60_000;
const DISK_BYTES = 512 * 1024 * 1024;

let fleet: Fleet;
let image: string;
beforeAll(async () => {
  const startMs = performance.now();
  fleet = await startFleet({
    delayMs: 0,
    clockOffsetMs: (id) => (id === 'n1' ? CLOCK_OFFSET_MS : 0),
    nodeDiskBytes: (id) => (id === 'n2' ? DISK_BYTES : undefined),
    nodeEnv: () => ({ LONGSHORE_HEARTBEAT_MS: '500' }),
    env: { LONGSHORE_NODE_UNREACHABLE_AFTER_MS: '3000' },
  });
  console.log(`a fleet of two nodes is ready after ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  image = await fleet.push('test/busybox', '1', await makeBusyboxImage());
});
// Fails when anything is left.
afterAll(() => fleet?.close());

describe('a fleet for tests', () => {
  it('has nodes that fetch from its registry and run containers, each under its own name', async () => {
    await Promise.all(
      fleet.nodes.map(async ({ id, ctr }) => {
        await ctr.ok(['image', 'pull', '--plain-http', image]);
        expect(await ctr.ok(['run', '--rm', image, 'hello', 'hostname'])).toBe(`${id}\n`);
      }),
    );
    expect(fleet.registryRequests().filter(({ path }) => path.includes('/blobs/')).length).toBeGreaterThan(0);
  });

  it('keeps from each node what is not its own', async () => {
    const [n1] = fleet.nodes;
    const seen = await n1!.exec(['ls', fleet.root, fleet.state]);
    expect(seen.split('\n').filter((line) => line !== '' && !line.endsWith(':'))).toEqual(['n1', 'n1']);
  });

  it('gives a node a clock and a disk of its own', async () => {
    const [line = ''] = readFileSync(join(fleet.state, 'logs/agent-n1.log'), 'utf8').split('\n');
    const aheadMs = Date.parse(JSON.parse(line).time) - Date.now();
    expect(aheadMs).toBeGreaterThan(CLOCK_OFFSET_MS - 120_000);
    const disk = await fleet.node('n2').exec(['df', '--output=size', '-B1', fleet.node('n2').root]);
    expect(Number(disk.split('\n')[1])).toBe(DISK_BYTES);
  });

  it('delays what a node says and hears', async () => {
    const { ctr } = fleet.node('n1');
    const timed = async () => {
      const startMs = performance.now();
      await ctr.ok(['namespaces', 'label', 'default', `at=${startMs}`]);
      return performance.now() - startMs;
    };
    await fleet.node('n1').setDelay(150);
    expect(await timed()).toBeGreaterThan(300);
    await fleet.node('n1').setDelay(0);
    expect(await waitUntil(async () => (await timed()) < 300)).toBe(true);
  });

  it('cuts a node off, one way or both, and heals it', async () => {
    const stateOf = async (id: string) => {
      const { nodes } = (await (await fleet.http('/v1/nodes')).json()) as {
        nodes: { id: string; state: string }[];
      };
      return nodes.find((node) => node.id === id)?.state;
    };
    for (const partition of ['to-control', 'both'] as const) {
      await fleet.node('n2').link.partition(partition);
      expect(await waitUntil(async () => (await stateOf('n2')) === 'unreachable', 20_000)).toBe(true);
      expect(await stateOf('n1')).toBe('ready');
      await fleet.node('n2').link.heal();
      expect(await waitUntil(async () => (await stateOf('n2')) === 'ready', 30_000)).toBe(true);
    }
  });

  it('crashes a node, of which nothing runs on', async () => {
    const node = fleet.node('n1');
    await node.ctr.ok(['run', '-d', image, 'falls', 'sleep', '1000']);
    await node.crash();
    await node.agent.whenReady();
    expect(await node.ctr.ok(['task', 'ls'])).not.toMatch(/falls.*RUNNING/);
    expect(await node.exec(['true'])).toBe('');
  });

  it('takes stores away and gives them back', async () => {
    const { ctr } = fleet.node('n2');
    const [digest = ''] = (await ctr.ok(['content', 'ls', '-q'])).split('\n');
    const labels = async () => (await ctr.run(['namespaces', 'label', 'default', `at=${Date.now()}`])).code;
    await fleet.stores.restart('postgres');
    expect(await waitUntil(async () => (await labels()) === 0, 20_000)).toBe(true);
    await fleet.stores.loseNatsData();
    expect(digest).toMatch(/^sha256:/);
    await fleet.stores.hideBlobs();
    const hidden = join(fleet.root, 'control/content');
    const insideControl = () => fleet.local.control.run(['ls', hidden]);
    expect(await insideControl()).toBe('');
    await fleet.stores.showBlobs();
    expect(await insideControl()).not.toBe('');
  });

  it('kills a replica, which comes back', async () => {
    const before = fleet.controlPlane.pid('image', 2);
    await fleet.controlPlane.kill('image', 2);
    await fleet.controlPlane.whenReady('image', 2);
    expect(fleet.controlPlane.pid('image', 2)).not.toBe(before);
    expect(fleet.reports.join('\n')).toContain('image-2 exited with signal SIGKILL');
  });
});
