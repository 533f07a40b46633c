import { Events } from '@longshore/proto/containerd/services/events/v1/events';
import { expect, it } from 'vitest';
import { EventHub } from '../spool/event-hub.ts';
import { eventsRpc } from './events-rpc.ts';
import { served } from './testing/served.ts';

it('Events.Subscribe refuses a filter as containerd does, which does not map that error', async () => {
  const hub = new EventHub();
  const events = await served(Events, eventsRpc({ record: () => true }, hub, new AbortController().signal));
  const first = events
    .subscribe({ filters: ['topic=='] })
    [Symbol.asyncIterator]()
    .next();
  await expect(first).rejects.toMatchObject({ kind: 'Unknown' });
  await expect.poll(() => hub.subscribers).toBe(0);
});
