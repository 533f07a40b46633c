import { create } from '@bufbuild/protobuf';
import { type Envelope, EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import { describe, expect, it } from 'vitest';
import { EventHub } from './event-hub.ts';

function event(topic: string): Envelope {
  return create(EnvelopeSchema, { topic });
}

async function topics(events: AsyncIterable<Envelope>): Promise<string[]> {
  return (await Array.fromAsync(events)).map(({ topic }) => topic);
}

describe('EventHub', () => {
  it('gives every subscriber every event since it subscribed, in order', async () => {
    const hub = new EventHub();
    const stop = new AbortController();
    const first = hub.subscribe(stop);
    hub.publish(event('/a'));
    const second = topics(hub.subscribe(stop));
    hub.publish(event('/b'));
    hub.publish(event('/c'));
    stop.abort();
    expect(await topics(first)).toEqual(['/a', '/b', '/c']);
    expect(await second).toEqual(['/b', '/c']);
  });

  it('wakes a subscriber that waits', async () => {
    const hub = new EventHub();
    const next = hub.subscribe()[Symbol.asyncIterator]().next();
    hub.publish(event('/a'));
    expect((await next).value.topic).toBe('/a');
  });

  it('leaves out what a subscriber does not want', async () => {
    const hub = new EventHub();
    const stop = new AbortController();
    const exits = topics(
      hub.subscribe({ ...stop, signal: stop.signal, accepts: ({ topic }) => topic === '/exit' }),
    );
    hub.publish(event('/start'));
    hub.publish(event('/exit'));
    stop.abort();
    expect(await exits).toEqual(['/exit']);
  });

  it('ends a subscriber that does not keep up, and no other', async () => {
    const hub = new EventHub({ events: 2 });
    const stop = new AbortController();
    const slow = hub.subscribe();
    const picky = hub.subscribe({ signal: stop.signal, accepts: ({ topic }) => topic === '/3' });
    for (const topic of ['/1', '/2', '/3']) hub.publish(event(topic));
    stop.abort();
    const seen: string[] = [];
    const read = async () => {
      for await (const { topic } of slow) seen.push(topic);
    };
    await expect(read()).rejects.toMatchObject({ kind: 'ResourceExhausted' });
    expect(seen).toEqual(['/1', '/2']);
    expect(await topics(picky)).toEqual(['/3']);
  });

  it('counts the bytes of what waits, too', async () => {
    const hub = new EventHub({ bytes: 1_000 });
    const slow = hub.subscribe();
    const large = create(EnvelopeSchema, { topic: '/large', event: { value: new Uint8Array(600) } });
    for (let n = 0; n < 3; n++) hub.publish(large);
    const seen: string[] = [];
    const read = async () => {
      for await (const { topic } of slow) seen.push(topic);
    };
    await expect(read()).rejects.toMatchObject({ kind: 'ResourceExhausted' });
    expect(seen).toEqual(['/large', '/large']);
  });

  it('forgets a subscriber that left or was aborted', async () => {
    const hub = new EventHub();
    hub.subscribe({ signal: AbortSignal.abort() });
    const left = hub.subscribe()[Symbol.asyncIterator]();
    hub.publish(event('/a'));
    await left.next();
    expect(hub.subscribers).toBe(1);
    await left.return?.();
    expect(hub.subscribers).toBe(0);
  });
});
