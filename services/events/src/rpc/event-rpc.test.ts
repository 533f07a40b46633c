import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { TaskStartSchema } from '@longshore/proto/containerd/events/task';
import type { SubscribeRequestSchema, SubscribeResponse } from '@longshore/proto/longshore/events/v1/events';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type ServiceUnderTest, startEventsService } from '../testing/events-service.ts';

let service: ServiceUnderTest;

beforeAll(async () => {
  service = await startEventsService();
  const events = ['a', 'b', 'c'].map((id) => spooled(id));
  const append = (node: string, batch: ReturnType<typeof spooled>[]) =>
    service.spool.append({ events: batch }, { headers: { 'longshore-node': node } });
  // The service connects by itself; until then it answers Unavailable.
  await vi.waitFor(() => append('n1', events));
  await append('n2', [spooled('d', 'k8s.io')]);
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

function spooled(id: string, namespace = 'default') {
  const value = toBinary(TaskStartSchema, create(TaskStartSchema, { containerId: id }));
  const event = { typeUrl: TaskStartSchema.typeName, value };
  return { id, envelope: { timestamp: timestampNow(), namespace, topic: '/tasks/start', event } };
}

type Request = MessageInitShape<typeof SubscribeRequestSchema>;

/** The first `count` responses: of a namespace, or of all. */
async function take(count: number, request: Request, namespace?: string) {
  const taken: Pick<SubscribeResponse, 'sequence' | 'event'>[] = [];
  const options = {
    headers: namespace ? { 'containerd-namespace': namespace } : {},
    signal: AbortSignal.timeout(20_000),
  };
  const { subscribe, subscribeFleet } = service.own;
  const responses = namespace
    ? subscribe(request, options)
    : subscribeFleet({ wanted: request as never }, options);
  for await (const response of responses) if (taken.push(response) === count) break;
  return taken;
}

const ids = (responses: Pick<SubscribeResponse, 'event'>[]) => responses.map(({ event }) => event?.id);

describe('EventService', () => {
  it('says first where it begins, and then goes on from any place that is kept', async () => {
    const [begin] = await take(1, {});
    expect(begin).toMatchObject({ sequence: 4n });
    expect(begin?.event).toBeUndefined();
    const all = await take(5, { afterSequence: 0n });
    expect(ids(all)).toEqual([undefined, 'a', 'b', 'c', 'd']);
    expect(all.map(({ sequence }) => sequence)).toEqual([0n, 1n, 2n, 3n, 4n]);
    expect(all[1]?.event).toMatchObject({
      node: 'n1',
      subject: 'a',
      envelope: { topic: '/tasks/start', namespace: 'default' },
    });
    expect(ids(await take(2, { afterSequence: 2n }))).toEqual([undefined, 'c']);
    expect(ids(await take(2, { since: { seconds: 1n, nanos: 0 } }))).toEqual([undefined, 'a']);
  });

  it('keeps to a namespace, a node and filters', async () => {
    expect(ids(await take(2, { afterSequence: 0n }, 'k8s.io'))).toEqual([undefined, 'd']);
    expect(ids(await take(2, { afterSequence: 0n, node: 'n2' }))).toEqual([undefined, 'd']);
    expect(ids(await take(2, { afterSequence: 0n, filters: ['event.container_id==c'] }))).toEqual([
      undefined,
      'c',
    ]);
  });

  it('refuses a place that is not of its stream, and what means nothing', async () => {
    await expect(take(1, { afterSequence: 5n })).rejects.toMatchObject({ kind: 'OutOfRange' });
    await expect(take(1, { afterSequence: -1n })).rejects.toMatchObject({ kind: 'OutOfRange' });
    const both = { afterSequence: 1n, since: timestampNow() };
    await expect(take(1, both)).rejects.toMatchObject({ kind: 'InvalidArgument' });
    await expect(take(1, {}, 'a/b')).rejects.toMatchObject({ kind: 'InvalidArgument' });
    await expect(Array.fromAsync(service.own.subscribe({}))).rejects.toMatchObject({
      kind: 'FailedPrecondition',
    });
    await expect(take(1, { node: 'a/b' })).rejects.toMatchObject({ kind: 'InvalidArgument' });
    await expect(take(1, { filters: ['=='] })).rejects.toMatchObject({ kind: expect.any(String) });
  });
});
