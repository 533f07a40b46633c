import { invalidArgument } from '@longshore/errors';
import { parseIdentifier } from '@longshore/oci';
import { Events } from '@longshore/proto/containerd/services/events/ttrpc/v1/events';
import { createTtrpcServer, type TtrpcServer } from '@longshore/ttrpc';
import type { TaskEvents } from './task-events.ts';

/** Serves what shims report to. An event is answered once it is recorded, or held to be recorded in its order. */
export async function serveShimEvents(path: string, events: TaskEvents): Promise<TtrpcServer> {
  const server = createTtrpcServer().add(Events, {
    forward({ envelope }) {
      if (!envelope) throw invalidArgument('envelope must be set');
      if (!envelope.timestamp) throw invalidArgument('timestamp must be set on forwarded event');
      if (!envelope.topic.startsWith('/')) throw invalidArgument("envelope topic must start with '/'");
      parseIdentifier(envelope.namespace);
      events.take(envelope);
      return {};
    },
  });
  await server.listen(path);
  return server;
}
