import { validEnvelope } from '@longshore/kit';
import { peerCredentials } from '@longshore/linux';
import { Events } from '@longshore/proto/containerd/services/events/ttrpc/v1/events';
import { createTtrpcServer, type TtrpcServer } from '@longshore/ttrpc';
import type { TaskEvents } from './task-events.ts';

/** Serves what shims report to; to the same user alone, as containerd does. An event is answered once it is recorded, or held to be recorded in its order. */
export async function serveShimEvents(path: string, events: TaskEvents): Promise<TtrpcServer> {
  const server = createTtrpcServer({ admit: isSameUser }).add(Events, {
    forward({ envelope }) {
      events.take(validEnvelope(envelope));
      return {};
    },
  });
  await server.listen(path);
  return server;
}

function isSameUser(fd: number): boolean {
  try {
    return peerCredentials(fd).uid === process.getuid?.();
  } catch {
    // Gone again already.
    return false;
  }
}
