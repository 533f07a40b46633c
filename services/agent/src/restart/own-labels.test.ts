import { unavailable } from '@longshore/errors';
import { createLogger } from '@longshore/kit';
import { describe, expect, it } from 'vitest';
import { OwnLabels } from './own-labels.ts';

/** A control plane that is away while `isAway`, and keeps the labels of one container otherwise. */
function controlPlane(recorded: Record<string, string>) {
  const state = { isAway: true, recorded, masks: [] as string[][] };
  const containers = {
    update: async (request: { container: { labels: object }; updateMask: { paths: string[] } }) => {
      if (state.isAway) throw unavailable('service "runtime"');
      state.masks.push(request.updateMask.paths);
      Object.assign(state.recorded, request.container.labels);
      return {};
    },
  };
  const log = createLogger('test', 'silent');
  const labels = new OwnLabels({ nodeId: 'n1', containers: containers as never, log });
  const inForce = () => labels.over('default', 'web', { ...state.recorded });
  return { state, labels, inForce };
}

describe('OwnLabels', () => {
  it('are in force at once, and written, they alone, when the control plane is back', async () => {
    const { state, labels, inForce } = controlPlane({ colour: 'red' });
    await labels.set('default', 'web', { colour: 'red' }, { count: '1' });
    expect(inForce()).toEqual({ colour: 'red', count: '1' });
    expect(state.recorded).toEqual({ colour: 'red' });
    state.isAway = false;
    await labels.write('default', 'web');
    expect(state.recorded).toEqual({ colour: 'red', count: '1' });
    await labels.write('default', 'web');
    expect(state.masks).toEqual([['labels.count']]);
  });

  it('give way to what somebody else said meanwhile', async () => {
    const { state, labels, inForce } = controlPlane({ status: 'running' });
    await labels.set('default', 'web', { status: 'running' }, { status: 'stopped', count: '1' });
    state.recorded = { status: 'paused' };
    expect(inForce()).toEqual({ status: 'paused', count: '1' });
    state.isAway = false;
    await labels.write('default', 'web');
    expect(state.recorded).toEqual({ status: 'paused', count: '1' });
  });
});
