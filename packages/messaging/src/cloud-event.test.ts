import { create, toBinary } from '@bufbuild/protobuf';
import { TimestampSchema } from '@bufbuild/protobuf/wkt';
import { TaskExitSchema } from '@longshore/proto/containerd/events/task';
import { MAX_EVENT_PAYLOAD_BYTES } from '@longshore/proto/limits';
import { describe, expect, it } from 'vitest';
import { decodeEvent, encodeEvent, fromCloudEvent, toCloudEvent } from './cloud-event.ts';
import { resourceOf } from './event-resource.ts';
import type { LifecycleEvent } from './lifecycle-event.ts';

const PAYLOAD = toBinary(
  TaskExitSchema,
  create(TaskExitSchema, { containerId: 'web', id: 'e1', exitStatus: 137 }),
);

const EXIT: LifecycleEvent = {
  id: '7e57ab1e',
  time: create(TimestampSchema, { seconds: 1795367996n, nanos: 889191859 }),
  namespace: 'k8s.io',
  node: 'n1',
  topic: '/tasks/exit',
  subject: 'web',
  revision: 2n ** 60n + 1n,
  typeUrl: 'containerd.events.TaskExit',
  payload: PAYLOAD,
};

describe('toCloudEvent', () => {
  it('shows the event to people and keeps the original', () => {
    expect(toCloudEvent(EXIT)).toEqual({
      specversion: '1.0',
      id: '7e57ab1e',
      source: '/namespaces/k8s.io/nodes/n1',
      type: 'io.longshore.tasks.exit',
      subject: 'web',
      time: '2026-11-22T17:19:56.889191859Z',
      datacontenttype: 'application/json',
      data: { container_id: 'web', id: 'e1', exit_status: 137 },
      namespace: 'k8s.io',
      node: 'n1',
      topic: '/tasks/exit',
      revision: '1152921504606846977',
      anytypeurl: 'containerd.events.TaskExit',
      anyvalue: Buffer.from(PAYLOAD).toString('base64'),
    });
  });

  it('names attributes as CloudEvents 1.0 wants: lower-case letters and digits', () => {
    for (const name of Object.keys(toCloudEvent(EXIT))) expect(name).toMatch(/^[a-z0-9]{1,20}$/);
  });

  it('leaves out what it does not know', () => {
    const document = toCloudEvent({
      ...EXIT,
      subject: '',
      typeUrl: 'acme.Widget',
      payload: Buffer.from([0xff, 0]),
    });
    expect(document).not.toHaveProperty('subject');
    expect(document).not.toHaveProperty('data');
    expect(document.anyvalue).toBe('/wA=');
  });

  it('refuses a time beyond the year 9999', () => {
    const time = create(TimestampSchema, { seconds: 2n ** 62n });
    expect(() => toCloudEvent({ ...EXIT, time })).toThrow(/timestamp .*: invalid argument/);
  });
});

describe('encodeEvent', () => {
  it('leaves out the decoded event rather than exceed what NATS takes', () => {
    const exit = create(TaskExitSchema, { containerId: 'x'.repeat(MAX_EVENT_PAYLOAD_BYTES - 100) });
    const bytes = encodeEvent({ ...EXIT, payload: toBinary(TaskExitSchema, exit) });
    expect(bytes.length).toBeLessThan(1024 * 1024);
    expect(JSON.parse(new TextDecoder().decode(bytes))).not.toHaveProperty('data');
    expect(decodeEvent(bytes).payload.length).toBeGreaterThan(MAX_EVENT_PAYLOAD_BYTES - 100);
  });
});

describe('decodeEvent', () => {
  it('gives back what was encoded, to the nanosecond and the last byte', () => {
    const decoded = decodeEvent(encodeEvent(EXIT));
    expect({ ...decoded, payload: new Uint8Array(decoded.payload) }).toEqual(EXIT);
    const bare = { ...EXIT, subject: '', revision: 0n, typeUrl: 'acme.Widget' };
    expect(decodeEvent(encodeEvent(bare))).toMatchObject({
      subject: '',
      revision: 0n,
      typeUrl: 'acme.Widget',
    });
  });

  it.each(['', '{}', '[]', 'null', '{"id":"a","time":"yesterday"}'])('refuses %j', (text) => {
    expect(() => decodeEvent(new TextEncoder().encode(text))).toThrow(/no longshore event: invalid argument/);
  });

  it('refuses a document without the original', () => {
    const { anyvalue: _, ...document } = toCloudEvent(EXIT);
    expect(() => fromCloudEvent(document as ReturnType<typeof toCloudEvent>)).toThrow(/invalid argument/);
  });
});

describe('resourceOf', () => {
  it('is the container of a task event, also of an exec', () => {
    expect(resourceOf({ typeUrl: 'containerd.events.TaskExit', value: PAYLOAD })).toBe('web');
  });

  it('is empty for an unknown type', () => {
    expect(resourceOf({ typeUrl: 'acme.Widget', value: PAYLOAD })).toBe('');
  });
});
