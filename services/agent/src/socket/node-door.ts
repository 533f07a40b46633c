import type { IncomingHttpHeaders } from 'node:http2';
import { unimplemented } from '@longshore/errors';
import { endWithError, type Logger, type OnCall, passOn, RawListener, type Upstream } from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import { type Owner, ownerOf } from './routes.ts';

export interface NodeDoorOptions {
  nodeId: string;
  upstreams: Record<Owner, Upstream>;
  /** Binary envelopes of events that a call through this door caused. */
  onEvents(envelopes: Uint8Array[]): void;
  log: Logger;
}

/**
 * The one way into a node's scope: containerd's API as raw HTTP/2, passed to whoever owns each service. Every call
 * gets the node's own scope, whatever its caller says.
 */
export function nodeDoor({ nodeId, upstreams, onEvents, log }: NodeDoorOptions): RawListener {
  const onCall: OnCall = (stream, headers) => {
    const path = String(headers[':path']);
    const owner = ownerOf(path);
    if (owner === undefined) {
      endWithError(stream, unimplemented(`unknown service ${path.slice(1, path.lastIndexOf('/'))}`));
      return;
    }
    void passOn(stream, headers, {
      name: owner === 'agent' ? 'agent' : `service ${JSON.stringify(owner)}`,
      upstream: upstreams[owner],
      headers: { [Header.Node]: nodeId },
      takeTrailers: (trailers) => onEvents(takeEvents(trailers)),
    });
  };
  return new RawListener(onCall, log);
}

/** The values of a repeated binary header are joined by commas, which base64 does not use. */
function takeEvents(trailers: IncomingHttpHeaders): Uint8Array[] {
  const value = trailers[Header.EventBin];
  if (value === undefined) return [];
  delete trailers[Header.EventBin];
  const parts = [value].flat().flatMap((part) => part.split(','));
  return parts.map((part) => Buffer.from(part.trim(), 'base64'));
}
