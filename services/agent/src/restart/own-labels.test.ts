import { join } from 'node:path';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { LongshoreError, unavailable } from '@longshore/errors';
import { createLogger } from '@longshore/kit';
import { describe, expect, it } from 'vitest';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { OwnLabelStore } from './own-label-store.ts';
import { OwnLabels } from './own-labels.ts';

const CREATED = timestampFromMs(0);

/** A control plane that is away while `isAway`, and keeps the labels of one container otherwise. */
function controlPlane(recorded: Record<string, string>, path = ':memory:', owner = 'n1') {
  const state = {
    isAway: true,
    failure: unavailable('service "runtime"'),
    recorded,
    masks: [] as string[][],
    made: 1n,
  };
  const containers = {
    update: async (request: { container: { labels: object }; updateMask: { paths: string[] } }) => {
      if (state.isAway) throw state.failure;
      state.masks.push(request.updateMask.paths);
      Object.assign(state.recorded, request.container.labels);
      return {};
    },
  };
  const log = createLogger('test', 'silent');
  const store = new OwnLabelStore(path, owner);
  const labels = new OwnLabels({ nodeId: 'n1', containers: containers as never, store, log });
  const record = (of: Record<string, string>) => ({
    labels: { ...of },
    createdAt: { ...CREATED, seconds: state.made },
  });
  const inForce = () => labels.over('default', 'web', record(state.recorded));
  const set = (recorded: Record<string, string>, changes: Record<string, string>) =>
    labels.set('default', 'web', record(recorded), changes);
  return { state, labels, inForce, set };
}

describe('OwnLabels', () => {
  it('are in force at once, and written, they alone, when the control plane is back', async () => {
    const { state, labels, inForce, set } = controlPlane({ colour: 'red' });
    await set({ colour: 'red' }, { count: '1' });
    expect(inForce()).toEqual({ colour: 'red', count: '1' });
    expect(state.recorded).toEqual({ colour: 'red' });
    state.isAway = false;
    await labels.write('default', 'web');
    expect(state.recorded).toEqual({ colour: 'red', count: '1' });
    await labels.write('default', 'web');
    expect(state.masks).toEqual([['labels.count']]);
  });

  it('outlive the agent, on the node that they are of', async () => {
    const path = join(await scratchDirectory(), 'own-labels.db');
    const before = controlPlane({ status: 'running' }, path);
    await before.set({ status: 'running' }, { status: 'stopped', count: '1' });
    const { state, labels, inForce } = controlPlane({ status: 'running' }, path);
    expect(inForce()).toEqual({ status: 'stopped', count: '1' });
    state.isAway = false;
    await labels.write('default', 'web');
    expect(state.recorded).toEqual({ status: 'stopped', count: '1' });
    const next = controlPlane({ status: 'running' }, path);
    expect(next.inForce()).toEqual({ status: 'running' });
    await next.set({}, { count: '2' });
    expect(controlPlane({}, path, 'n2').inForce()).toEqual({});
  });

  it.each([
    ['PermissionDenied', '1'],
    ['Unauthenticated', '1'],
    ['NotFound', undefined],
  ] as const)('that are refused with %s are %s afterwards', async (kind, count) => {
    const { state, inForce, set } = controlPlane({});
    state.failure = new LongshoreError(kind, 'refused');
    await set({}, { count: '1' });
    expect(inForce().count).toBe(count);
  });

  it('give way to what somebody else said meanwhile', async () => {
    const { state, labels, inForce, set } = controlPlane({ status: 'running' });
    await set({ status: 'running' }, { status: 'stopped', count: '1' });
    state.recorded = { status: 'paused' };
    expect(inForce()).toEqual({ status: 'paused', count: '1' });
    state.isAway = false;
    await labels.write('default', 'web');
    expect(state.recorded).toEqual({ status: 'paused', count: '1' });
  });

  it('are not those of a later container of the name', async () => {
    const { state, inForce, set, labels } = controlPlane({});
    await set({}, { count: '7' });
    expect(inForce()).toEqual({ count: '7' });
    state.made = 2n;
    expect(inForce()).toEqual({});
    state.isAway = false;
    await labels.write('default', 'web');
    expect(state.recorded).toEqual({});
  });
});
