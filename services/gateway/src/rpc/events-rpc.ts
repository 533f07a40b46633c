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
 * Who has one namespace when it subscribes hears of others once it subscribes anew.
 */
export function eventsRpc(
  events: Pick<ServiceClient<typeof EventService>, 'subscribe' | 'subscribeFleet'>,
  access: Pick<AccessControl, 'sees' | 'placesOf'>,
): Handlers<typeof Events> {
  return {
    async *subscribe({ filters }, call) {
      const caller = callerOf(call);
      const wanted = { node: call.header(Header.Node) ?? '', filters };
      const headers = { [Header.RequestId]: call.requestId, [Header.Caller]: caller.name };
      const [only, ...others] = (await access.placesOf(caller)) ?? [];
      const isOfOne = only !== undefined && others.length === 0;
      // Nothing of the others' comes as far as here for who has one namespace, as most have.
      const told = isOfOne
        ? events.subscribe(wanted, {
            headers: { ...headers, [Header.Namespace]: only },
            signal: call.signal,
          })
        : events.subscribeFleet({ wanted }, { headers, signal: call.signal });
      let isOpen = false;
      for await (const { event } of told) {
        if (!isOpen) call.begin();
        isOpen = true;
        const envelope = event?.envelope;
        if (envelope && (await access.sees(caller, envelope.namespace))) yield envelope;
      }
    },
  };
}
