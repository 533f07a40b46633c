import { validEnvelope } from '@longshore/kit';
import { Events } from '@longshore/proto/containerd/services/events/ttrpc/v1/events';
import { createTtrpcServer, type TtrpcServer } from '@longshore/ttrpc';
import type { TaskEvents } from './task-events.ts';

/** Serves what shims report to. An event is answered once it is recorded, or held to be recorded in its order. */
export async function serveShimEvents(path: string, events: TaskEvents): Promise<TtrpcServer> {
  const server = createTtrpcServer().add(Events, {
    forward({ envelope }) {
      events.take(validEnvelope(envelope));
      return {};
    },
  });
  await server.listen(path);
  return server;
}
