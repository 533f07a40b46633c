import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { refusal } from '../testing/refusal.ts';
import { RuntimeFixture } from '../testing/runtime-fixture.ts';

let runtime: RuntimeFixture;

beforeAll(async () => {
  runtime = await RuntimeFixture.start();
});

afterAll(() => runtime.close());

const REPORT = {
  address: 'unix:///run/longshore/agent.sock',
  labels: { zone: 'a' },
  hostname: 'host-1',
  kernel: '6.1.0',
  architecture: 'x64',
  cgroupVersion: 2,
  softwareVersion: '0.1.0',
  snapshotters: ['overlayfs', 'native'],
};

describe('NodeService', () => {
  it('registers a node, and refreshes it under the same uid with a later revision', async () => {
    const { node: first } = await runtime.nodes.register({ node: { ...REPORT, id: 'n1' } });
    expect(first).toMatchObject({
      ...REPORT,
      id: 'n1',
      createdAt: expect.anything(),
      lastSeenAt: expect.anything(),
    });
    const { node: again } = await runtime.nodes.register({ node: { ...REPORT, id: 'n1', kernel: '6.2.0' } });
    expect(again).toMatchObject({ uid: first!.uid, kernel: '6.2.0', createdAt: first!.createdAt });
    expect(again!.revision).toBeGreaterThan(first!.revision);
    expect((await runtime.nodes.get({ id: 'n1' })).node).toEqual(again);
  });

  it('takes a heartbeat of a node that it knows, and asks others to register', async () => {
    const { node } = await runtime.nodes.register({ node: { ...REPORT, id: 'n2' } });
    await runtime.nodes.heartbeat({ id: 'n2' });
    const { node: seen } = await runtime.nodes.get({ id: 'n2' });
    const time = (at: { seconds: bigint; nanos: number }) => Number(at.seconds) * 1e9 + at.nanos;
    expect(time(seen!.lastSeenAt!)).toBeGreaterThanOrEqual(time(node!.lastSeenAt!));
    expect(seen!.revision).toBe(node!.revision);
    expect(await refusal(runtime.nodes.heartbeat({ id: 'n3' }))).toBe('NotFound: node "n3": not found');
    expect(await refusal(runtime.nodes.get({ id: 'n3' }))).toBe('NotFound: node "n3": not found');
  });

  it('lists the nodes in byte order', async () => {
    for (const id of ['b', 'B', 'a']) await runtime.nodes.register({ node: { ...REPORT, id } });
    const ids = (await runtime.nodes.list({})).nodes.map(({ id }) => id);
    expect(ids).toEqual([...ids].sort());
    expect(ids).toEqual(expect.arrayContaining(['B', 'a', 'b']));
  });

  it.each([
    [{ id: 'a/b' }, /^InvalidArgument: node ID validation: identifier "a\/b"/],
    [{ id: '_' }, /^InvalidArgument: node ID validation: identifier "_"/],
    [{ id: 'n', address: 'nowhere' }, /^InvalidArgument: address "nowhere": want host:port/],
  ])('refuses %j', async (change, message) => {
    expect(await refusal(runtime.nodes.register({ node: { ...REPORT, ...change } }))).toMatch(message);
  });
});
