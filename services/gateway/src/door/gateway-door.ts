import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { messageOf, unimplemented } from '@longshore/errors';
import { endWithError, type Logger, passOn, RawListener } from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import { isRetrySafe, type Revocations } from '@longshore/transport';
import { requestIdOf } from '../request-id.ts';
import { isCaller } from './access.ts';
import type { Destination, IncomingCall } from './destination.ts';
import { planOf } from './owners.ts';
import { type ReadMessage, readMessage } from './read-message.ts';
import { refuseReservedLabels, writesLabels } from './reserved-labels.ts';
import { stickyKey } from './sticky-key.ts';

export interface GatewayDoorOptions {
  destination: Destination;
  /** Whose certificates are worthless. */
  revocations?: Revocations | undefined;
  log: Logger;
}

/**
 * containerd's API at the fleet's edge, as raw HTTP/2: calls for a node's scope go to that node's agent, which is the
 * one door into it, the others to the part of the control plane that serves them.
 */
export function gatewayDoor({ destination, revocations, log }: GatewayDoorOptions): RawListener {
  async function pass(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    requestId: string,
  ): Promise<void> {
    const path = String(headers[':path']);
    const plan = planOf(path);
    if (plan === undefined) throw unimplemented(`unknown service ${path.slice(1, path.lastIndexOf('/'))}`);
    let read: Promise<ReadMessage> | undefined;
    const message = async () => {
      read ??= readMessage(stream);
      return (await read).message;
    };
    if (writesLabels(path)) refuseReservedLabels(path, await message());
    const call: IncomingCall = { plan, headers, requestId, message };
    const to = await destination.of(call);
    await passOn(stream, headers, {
      name: to.name,
      upstream: to.upstream,
      headers: { [Header.Node]: to.node, [Header.RequestId]: requestId },
      takeTrailers,
      retrySafe: isRetrySafe(path),
      ...(plan.isSticky && { sticky: stickyKey(stream.session) }),
      ...(read && { request: (await read).request }),
    });
  }

  async function answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const requestId = requestIdOf(headers[Header.RequestId]);
    try {
      await pass(stream, headers, requestId);
    } catch (error) {
      log.info({ request_id: requestId, method: headers[':path'], error: messageOf(error) }, 'call refused');
      endWithError(stream, error);
    }
  }

  return new RawListener((stream, headers) => void answer(stream, headers), log, {
    revocations,
    admits: isCaller,
  });
}

/** What parts tell one another in trailers is not for callers: at the edge events come by `Subscribe`. */
function takeTrailers(trailers: IncomingHttpHeaders): void {
  delete trailers[Header.EventBin];
  delete trailers[Header.Collected];
  delete trailers[Header.RecordBin];
}
