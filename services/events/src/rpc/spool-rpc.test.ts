import { setTimeout as delay } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { TaskExitSchema } from '@longshore/proto/containerd/events/task';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ServiceUnderTest, startEventsService } from '../testing/events-service.ts';

const DEDUP_WINDOW_MS = 200;

let service: ServiceUnderTest;

beforeAll(async () => {
  service = await startEventsService(DEDUP_WINDOW_MS);
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

const value = toBinary(
  TaskExitSchema,
  create(TaskExitSchema, { containerId: 'web', id: 'web', exitStatus: 137 }),
);

function exitEvent(id: string, namespace = 'default') {
  const timestamp = timestampFromMs(Date.now());
  const event = { typeUrl: TaskExitSchema.typeName, value };
  return { id, envelope: { timestamp, namespace, topic: '/tasks/exit', event } };
}

const fromNode = (node: string) => ({ headers: { 'longshore-node': node } });

async function storedIds(): Promise<string[]> {
  return (await service.stream.events()).map(({ event }) => event.id);
}

async function lastSequence(): Promise<bigint> {
  return (await service.stream.events()).at(-1)!.seq;
}

/** The service connects by itself; until then it answers Unavailable. */
async function append(events: ReturnType<typeof exitEvent>[], node: string): Promise<void> {
  await expect
    .poll(
      () =>
        service.spool.append({ events }, fromNode(node)).then(
          () => 'stored',
          (error) => error.kind,
        ),
      { timeout: 20_000 },
    )
    .toBe('stored');
}

describe('SpoolService', () => {
  it('stores a batch in its order, under the node of the header', async () => {
    const ids = Array.from({ length: 300 }, (_, index) => `order-${index}`);
    await append(
      ids.map((id, index) => exitEvent(id, index % 2 ? 'default' : 'k8s.io')),
      'n1',
    );
    const events = await service.stream.events();
    expect(events.map(({ event }) => event.id).filter((id) => id.startsWith('order-'))).toEqual(ids);
    expect(new Set(events.map(({ event }) => event.node))).toEqual(new Set(['n1']));
    expect(events[0]?.event).toMatchObject({ topic: '/tasks/exit', subject: 'web', revision: 0n });
  });

  it('stores an event once, sent again at once or long after the stream forgot its id', async () => {
    const batch = ['once-1', 'once-2', 'once-3'].map((id) => exitEvent(id));
    await append(batch.slice(0, 2), 'n1');
    await append(batch, 'n1');
    await delay(DEDUP_WINDOW_MS * 3); // the stream's own memory has to run out
    await append(batch, 'n1');
    expect((await storedIds()).filter((id) => id.startsWith('once-'))).toEqual([
      'once-1',
      'once-2',
      'once-3',
    ]);
  });

  it('says where each event is, that of an earlier time too, and whether it is still there', async () => {
    const [first, second] = [exitEvent('place-1'), exitEvent('place-2')];
    await append([first], 'n1');
    await delay(DEDUP_WINDOW_MS * 3); // the stream's own memory has to run out
    const { sequences } = await service.spool.append({ events: [first, second] }, fromNode('n1'));
    const stored = new Map((await service.stream.events()).map(({ event, seq }) => [event.id, seq]));
    expect(sequences).toEqual([stored.get('place-1'), stored.get('place-2')]);
    const [sequence] = sequences;
    expect(await service.spool.check({ id: 'place-1', sequence: sequence! }, fromNode('n1'))).toMatchObject({
      stored: true,
    });
    expect(await service.spool.check({ id: 'other', sequence: sequence! }, fromNode('n1'))).toMatchObject({
      stored: false,
      firstSequence: 1n,
    });
  });

  it('appends nothing behind an event that the stream has lost', async () => {
    await append([exitEvent('kept-1')], 'n7');
    const after = { afterId: 'kept-1', afterSequence: await lastSequence() };
    const next = await service.spool.append({ events: [exitEvent('kept-2')], ...after }, fromNode('n7'));
    expect(next).toMatchObject({ lost: false, sequences: [after.afterSequence + 1n] });
    const lost = { afterId: 'never-stored', afterSequence: after.afterSequence };
    const refused = await service.spool.append({ events: [exitEvent('kept-3')], ...lost }, fromNode('n8'));
    expect(refused).toMatchObject({ lost: true, firstSequence: 1n, sequences: [] });
    expect(await storedIds()).not.toContain('kept-3');
  });

  it('refuses events without a node, with a bad id, or with a bad envelope, and stores nothing', async () => {
    const before = await storedIds();
    const good = exitEvent('good');
    const { append: call } = service.spool;
    const invalid = { kind: 'InvalidArgument' };
    await expect(call({ events: [good] })).rejects.toMatchObject(invalid);
    await expect(call({ events: [good] }, fromNode('_'))).rejects.toMatchObject(invalid);
    await expect(call({ events: [good] }, fromNode('a.b c'))).rejects.toMatchObject(invalid);
    for (const id of ['', 'a b', 'a\r\nb', 'x'.repeat(129)]) {
      await expect(call({ events: [good, exitEvent(id)] }, fromNode('n1')), id).rejects.toMatchObject(
        invalid,
      );
    }
    const bad = { ...good, envelope: { ...good.envelope, topic: 'tasks/exit' } };
    await expect(call({ events: [good, bad] }, fromNode('n1'))).rejects.toMatchObject(invalid);
    await expect(call({ events: [{ id: 'empty' }] }, fromNode('n1'))).rejects.toMatchObject(invalid);
    expect(await storedIds()).toEqual(before);
  });

  it('says Unavailable while NATS is away, and stores everything when it is sent again', async () => {
    const batch = ['away-1', 'away-2'].map((id) => exitEvent(id));
    await service.stream.server.kill();
    await expect(service.spool.append({ events: batch }, fromNode('n1'))).rejects.toMatchObject({
      kind: 'Unavailable',
    });
    await service.stream.server.restart();
    await append(batch, 'n1');
    expect((await storedIds()).filter((id) => id.startsWith('away-'))).toEqual(['away-1', 'away-2']);
  });
});
