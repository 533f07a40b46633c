import { create, toBinary } from '@bufbuild/protobuf';
import { TaskDeleteSchema, TaskOOMSchema } from '@longshore/proto/containerd/events/task';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import { expect, it } from 'vitest';
import { EventHub } from '../spool/event-hub.ts';
import { OomCount } from './oom-count.ts';

it('goes on when more came at once than it could hear of', async () => {
  const hub = new EventHub({ events: 2 });
  const value = toBinary(TaskOOMSchema, create(TaskOOMSchema, { containerId: 'web' }));
  const event = { typeUrl: 'x', value };
  const oom = () => hub.publish(create(EnvelopeSchema, { namespace: 'a', topic: '/tasks/oom', event }));
  const ooms = new OomCount(hub);
  for (let n = 0; n < 5; n++) oom();
  await expect.poll(() => ooms.of('a', 'web')).toBe(2);
  await expect.poll(() => hub.subscribers).toBe(1);
  oom();
  await expect.poll(() => ooms.of('a', 'web')).toBe(3);
  ooms.close();
});

it('counts the OOM events of a task until it is deleted', async () => {
  const hub = new EventHub();
  const publish = (topic: string, value: Uint8Array) =>
    hub.publish(create(EnvelopeSchema, { namespace: 'a', topic, event: { typeUrl: 'x', value } }));
  const oom = (containerId: string) =>
    publish('/tasks/oom', toBinary(TaskOOMSchema, create(TaskOOMSchema, { containerId })));
  const deleted = (containerId: string, id: string) =>
    publish('/tasks/delete', toBinary(TaskDeleteSchema, create(TaskDeleteSchema, { containerId, id })));
  const ooms = new OomCount(hub);
  oom('web');
  oom('web');
  oom('db');
  deleted('web', 'an-exec');
  await expect.poll(() => [ooms.of('a', 'web'), ooms.of('a', 'db'), ooms.of('b', 'web')]).toEqual([2, 1, 0]);
  deleted('web', 'web');
  await expect.poll(() => [ooms.of('a', 'web'), ooms.of('a', 'db')]).toEqual([0, 1]);
  ooms.close();
  expect(hub.subscribers).toBe(0);
});
