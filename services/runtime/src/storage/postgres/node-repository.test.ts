import { NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { nodeEvents } from '../../node-events.ts';
import { RuntimeFixture } from '../../testing/runtime-fixture.ts';
import { NodeRepository } from './node-repository.ts';

const TERM = { check: async () => undefined };

let runtime: RuntimeFixture;

beforeAll(async () => {
  runtime = await RuntimeFixture.start();
});

afterAll(() => runtime.close());

it('does not take a node for unreachable that was heard of in the meantime', async () => {
  const nodes = new NodeRepository(runtime.pool, nodeEvents);
  await runtime.nodes.register({ node: { id: 'n1', address: 'unix:///a' } });
  expect(await nodes.markUnreachable('n1', 60_000, TERM)).toBeUndefined();
  expect((await runtime.nodes.get({ id: 'n1' })).node?.state).toBe(NodeState.READY);
  expect(await nodes.markUnreachable('n1', 0, TERM)).toMatchObject({ state: 'unreachable' });
  expect(await nodes.markUnreachable('n1', 0, TERM)).toBeUndefined();
  expect(await runtime.topics('n1')).toEqual(['/nodes/ready', '/nodes/unreachable']);
});

it('lists those that are gone only when it is asked to', async () => {
  const nodes = new NodeRepository(runtime.pool, nodeEvents);
  for (const id of ['a', 'b']) await runtime.nodes.register({ node: { id, address: 'unix:///a' } });
  await runtime.admin.remove({ id: 'a', force: true });
  const ids = async (...states: Parameters<typeof nodes.list>) =>
    (await nodes.list(...states)).map(({ id }) => id).filter((id) => id !== 'n1');
  expect(await ids()).toEqual(['b']);
  expect(await ids(['gone'])).toEqual(['a']);
  expect(await ids(['ready', 'gone'])).toEqual(['a', 'b']);
});
