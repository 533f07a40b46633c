import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { TaskExitSchema } from '@longshore/proto/containerd/events/task';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import { describe, expect, it } from 'vitest';
import { eventFilter } from './event-filter.ts';

const exit = create(EnvelopeSchema, {
  namespace: 'default',
  topic: '/tasks/exit',
  event: anyPack(TaskExitSchema, create(TaskExitSchema, { containerId: 'web', exitStatus: 137 })),
});

describe('eventFilter', () => {
  it.each([
    [[], true],
    [['topic=="/tasks/exit"'], true],
    [['topic~="/images/"'], false],
    [['namespace==default,event.container_id==web'], true],
    [['event.exit_status==137'], true],
    [['event.container_id==db'], false],
    [['event.no_such_field'], false],
    [['topic=="/tasks/oom"', 'event.container_id==web'], true],
  ])('%j → %s', (filters, expected) => {
    expect(eventFilter(filters)(exit)).toBe(expected);
  });

  it('refuses a filter that does not parse', () => {
    expect(() => eventFilter(['topic==/tasks/exit'])).toThrow(/invalid/);
  });

  it('treats the fields of an unknown payload as absent', () => {
    const unknown = create(EnvelopeSchema, {
      topic: '/acme',
      event: { typeUrl: 'acme.Widget', value: new Uint8Array() },
    });
    expect(eventFilter(['event.id'])(unknown)).toBe(false);
  });
});
