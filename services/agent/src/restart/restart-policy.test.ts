import { describe, expect, it } from 'vitest';
import { RestartLabel } from './restart-labels.ts';
import { parsePolicy, type TaskStatus, wants } from './restart-policy.ts';

const { Status, Policy, Count, ExplicitlyStopped } = RestartLabel;

describe('parsePolicy', () => {
  it.each([
    ['', { name: 'always' }],
    ['always', { name: 'always' }],
    ['no', { name: 'no' }],
    ['unless-stopped', { name: 'unless-stopped' }],
    ['on-failure', { name: 'on-failure', maxRetries: 0 }],
    ['on-failure:3', { name: 'on-failure', maxRetries: 3 }],
    // Go's client reads no further.
    ['on-failure:3:4', { name: 'on-failure', maxRetries: 3 }],
    ['on-failure:', undefined],
    ['on-failure:x', undefined],
    ['always:3', undefined],
    ['no:1', undefined],
    ['unless-stopped:1', undefined],
    ['Always', undefined],
    ['sometimes', undefined],
  ])('takes %j as containerd does', (label, policy) => {
    expect(parsePolicy(label)).toEqual(policy);
  });
});

describe('wants', () => {
  const running = (labels: Record<string, string>) => ({ [Status]: 'running', ...labels });
  const stopped = (exitStatus: number) => ({ status: 'stopped', exitStatus }) as const;
  const found = (status: TaskStatus) => ({ status, exitStatus: 0 });

  it.each([
    ['always, ended well', running({}), stopped(0), 'start'],
    ['always, not there', running({ [Policy]: 'always' }), found('absent'), 'start'],
    ['always, never started', running({}), found('created'), 'start'],
    ['always, running', running({}), found('running'), undefined],
    ['always, paused', running({}), found('paused'), undefined],
    ['always, its shim silent', running({}), found('unknown'), undefined],
    ['always, stopped by hand', running({ [ExplicitlyStopped]: 'true' }), stopped(0), 'start'],
    ['no', running({ [Policy]: 'no' }), stopped(1), undefined],
    ['no policy of ours', running({ [Policy]: 'sometimes' }), stopped(1), undefined],
    ['on-failure, failed', running({ [Policy]: 'on-failure' }), stopped(1), 'start'],
    ['on-failure, ended well', running({ [Policy]: 'on-failure' }), stopped(0), undefined],
    ['on-failure, not there', running({ [Policy]: 'on-failure' }), found('absent'), undefined],
    ['on-failure, has one left', running({ [Policy]: 'on-failure:2', [Count]: '1' }), stopped(1), 'start'],
    ['on-failure, has none left', running({ [Policy]: 'on-failure:2', [Count]: '2' }), stopped(1), undefined],
    [
      'on-failure, count unreadable',
      running({ [Policy]: 'on-failure', [Count]: 'x' }),
      stopped(1),
      undefined,
    ],
    ['unless-stopped', running({ [Policy]: 'unless-stopped' }), stopped(0), 'start'],
    [
      'unless-stopped, stopped by hand',
      running({ [Policy]: 'unless-stopped', [ExplicitlyStopped]: 'T' }),
      stopped(0),
      undefined,
    ],
    [
      'unless-stopped, the mark taken back',
      running({ [Policy]: 'unless-stopped', [ExplicitlyStopped]: 'false' }),
      stopped(0),
      'start',
    ],
    ['to be stopped, running', { [Status]: 'stopped' }, found('running'), 'stop'],
    ['to be stopped, paused', { [Status]: 'stopped' }, found('paused'), 'stop'],
    ['to be stopped, made', { [Status]: 'stopped' }, found('created'), 'stop'],
    ['to be stopped, and is', { [Status]: 'stopped' }, stopped(0), undefined],
    ['to be stopped, not there', { [Status]: 'stopped' }, found('absent'), undefined],
    ['another status wanted', { [Status]: 'created' }, stopped(1), undefined],
    ['no label', { [Policy]: 'always' }, stopped(1), undefined],
  ])('%s', (_name, labels, task, wanted) => {
    expect(wants(labels, task)).toBe(wanted);
  });
});
