import { setTimeout as delay } from 'node:timers/promises';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { TaskStartSchema } from '@longshore/proto/containerd/events/task';
import type { Envelope } from '@longshore/proto/containerd/types/event';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ServiceUnderTest, startEventsService } from '../testing/events-service.ts';

const DEADLINE_MS = 20_000;

let service: ServiceUnderTest;

beforeAll(async () => {
  service = await startEventsService();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

const taskStart = (containerId: string, pid = 7) => ({
  typeUrl: TaskStartSchema.typeName,
  value: toBinary(TaskStartSchema, create(TaskStartSchema, { containerId, pid })),
});

const headers = (namespace: string, node?: string) => ({
  'containerd-namespace': namespace,
  ...(node === undefined ? {} : { 'longshore-node': node }),
});

function publish(containerId: string, namespace = 'default', node?: string, pid?: number): Promise<unknown> {
  const event = taskStart(containerId, pid);
  return service.events.publish({ topic: '/tasks/start', event }, { headers: headers(namespace, node) });
}

const MARKER_TOPIC = '/test/marker';

/** Collects what a subscription gets: the events that `during` says it causes, and any others up to a marker. */
async function collect(
  filters: string[],
  during: () => Promise<number>,
  subscriberHeaders: Record<string, string> = {},
): Promise<Envelope[]> {
  const controller = new AbortController();
  const signal = AbortSignal.any([controller.signal, AbortSignal.timeout(DEADLINE_MS)]);
  const node = subscriberHeaders['longshore-node'];
  const mark = (containerId: string) => {
    const event = taskStart(containerId);
    return service.events.publish({ topic: MARKER_TOPIC, event }, { headers: headers('default', node) });
  };
  const all = filters.length > 0 ? [...filters, `topic=="${MARKER_TOPIC}"`] : [];
  const received: Envelope[] = [];
  const { promise: started, resolve: start } = Promise.withResolvers<void>();
  const reading = (async () => {
    for await (const envelope of service.events.subscribe(
      { filters: all },
      { signal, headers: subscriberHeaders },
    )) {
      if (envelope.topic !== MARKER_TOPIC) received.push(envelope);
      else if (Buffer.from(envelope.event!.value).includes('end')) return controller.abort();
      else start();
    }
  })().catch((error) => {
    if (!controller.signal.aborted) throw error;
  });
  // Nothing says when a subscription has begun: publish until it answers.
  const begun = Promise.race([started.then(() => true), reading.then(() => true)]);
  while (!(await Promise.race([begun, delay(50, false)]))) await mark('begin');
  const expected = await during();
  // Only events about the same thing keep their order: the marker may come before others.
  await expect.poll(() => received.length, { timeout: DEADLINE_MS }).toBeGreaterThanOrEqual(expected);
  await mark('end');
  await reading;
  return received;
}

describe('Events', () => {
  it('delivers what is published across namespaces and nodes, in order for each thing', async () => {
    const received = await collect([], async () => {
      await publish('b', 'k8s.io');
      await publish('c', 'default', 'n1');
      for (let pid = 1; pid <= 20; pid++) await publish('a', 'default', '_', pid);
      return 22;
    });
    const started = received.map(({ namespace, event }) => {
      const { containerId, pid } = fromBinary(TaskStartSchema, event!.value);
      return { namespace, containerId, pid };
    });
    const pids = started.filter(({ containerId }) => containerId === 'a').map(({ pid }) => pid);
    expect(pids).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(started).toContainEqual({ namespace: 'k8s.io', containerId: 'b', pid: 7 });
    expect(started).toContainEqual({ namespace: 'default', containerId: 'c', pid: 7 });
    expect(received[0]).toMatchObject({
      topic: '/tasks/start',
      event: { typeUrl: 'containerd.events.TaskStart' },
    });
  });

  it('delivers what the filters name, by topic, namespace and field', async () => {
    const filters = ['topic=="/tasks/start",namespace==k8s.io', 'event.container_id==special'];
    const received = await collect(filters, async () => {
      await publish('plain');
      await publish('other', 'k8s.io');
      await publish('special');
      return 2;
    });
    expect(received.map(({ namespace }) => namespace).toSorted()).toEqual(['default', 'k8s.io']);
  });

  it('delivers only the events of the node in the header', async () => {
    const during = async () => {
      await publish('a', 'default', 'n1');
      await publish('b', 'default', 'n2');
      await publish('c', 'k8s.io', 'n1');
      return 2;
    };
    const received = await collect([], during, { 'longshore-node': 'n1' });
    expect(received.map(({ namespace }) => namespace).toSorted()).toEqual(['default', 'k8s.io']);
  });

  it('keeps the time and the namespace of a forwarded envelope, to the nanosecond', async () => {
    const timestamp = { seconds: 1795367996n, nanos: 889191859 };
    const envelope = { timestamp, namespace: 'forwarded', topic: '/tasks/start', event: taskStart('a') };
    const received = await collect([], async () => {
      await service.events.forward({ envelope });
      return 1;
    });
    expect(received).toHaveLength(1);
    expect(received[0]).toMatchObject({ namespace: 'forwarded', topic: '/tasks/start', timestamp });
    expect(new Uint8Array(received[0]!.event!.value)).toEqual(taskStart('a').value);
  });

  it('refuses a publish without namespace, or with a bad topic or too many bytes, and stores nothing', async () => {
    const event = taskStart('a');
    const { publish: call } = service.events;
    const received = await collect([], async () => {
      await expect(call({ topic: '/a', event })).rejects.toMatchObject({ kind: 'FailedPrecondition' });
      for (const topic of ['', '/', 'a', '/a//b', '/a b', '/a/']) {
        const refused = call({ topic, event }, { headers: headers('default') });
        await expect(refused, topic).rejects.toMatchObject({ kind: 'InvalidArgument' });
      }
      const large = { typeUrl: 'acme.Widget', value: new Uint8Array(512 * 1024 + 1) };
      const refused = call({ topic: '/a', event: large }, { headers: headers('default') });
      await expect(refused).rejects.toMatchObject({ kind: 'InvalidArgument' });
      const envelope = { namespace: 'default', topic: '/a', event };
      await expect(service.events.forward({ envelope })).rejects.toMatchObject({ kind: 'InvalidArgument' });
      return 0;
    });
    expect(received).toEqual([]);
  });

  it('refuses a bad filter and a bad node', async () => {
    const first = (iterable: AsyncIterable<unknown>) => iterable[Symbol.asyncIterator]().next();
    const badFilter = first(service.events.subscribe({ filters: ['topic=='] }));
    await expect(badFilter).rejects.toMatchObject({ kind: 'InvalidArgument' });
    const badNode = first(service.events.subscribe({}, { headers: { 'longshore-node': 'a b' } }));
    await expect(badNode).rejects.toMatchObject({ kind: 'InvalidArgument' });
  });

  it('takes what is published while NATS is away, and delivers it afterwards to who stayed', async () => {
    const received = await collect([], async () => {
      await service.stream.server.kill();
      await publish('away');
      const subscribing = service.events.subscribe({})[Symbol.asyncIterator]().next();
      await expect(subscribing).rejects.toMatchObject({ kind: 'Unavailable' });
      await service.stream.server.restart();
      return 1;
    });
    expect(received).toHaveLength(1);
  });
});
