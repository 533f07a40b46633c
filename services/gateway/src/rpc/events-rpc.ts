import type { Handlers } from '@longshore/kit';
import type { Events } from '@longshore/proto/containerd/services/events/v1/events';
import { Header } from '@longshore/proto/headers';
import type { EventService } from '@longshore/proto/longshore/events/v1/events';
import type { ServiceClient } from '@longshore/rpc';
import type { AccessControl } from '../access/access-control.ts';
import { callerOf } from './caller-of.ts';

/**
 * What the edge itself does of `containerd.services.events.v1.Events`: the events of all nodes, or of the one that is named, in
 * those namespaces that the caller may read, whatever its filters say. What is no namespace's is for who may read the fleet.
 */
export function eventsRpc(
  events: Pick<ServiceClient<typeof EventService>, 'subscribeFleet'>,
  access: Pick<AccessControl, 'sees'>,
): Handlers<typeof Events> {
  return {
    async *subscribe({ filters }, call) {
      const caller = callerOf(call);
      const wanted = { node: call.header(Header.Node) ?? '', filters };
      const headers = { [Header.RequestId]: call.requestId, [Header.Caller]: caller.name };
      let isOpen = false;
      for await (const { event } of events.subscribeFleet({ wanted }, { headers, signal: call.signal })) {
        if (!isOpen) call.begin();
        isOpen = true;
        const envelope = event?.envelope;
        if (envelope && (await access.sees(caller, envelope.namespace))) yield envelope;
      }
    },
  };
}
