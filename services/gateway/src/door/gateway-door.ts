import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { invalidArgument, messageOf, unimplemented } from '@longshore/errors';
import { endWithError, type Logger, passOn, RawListener, type Route, type Upstream } from '@longshore/kit';
import { parseIdentifier } from '@longshore/oci';
import { FLEET, Header } from '@longshore/proto/headers';
import type { NodeDirectory } from '../nodes/node-directory.ts';
import { requestIdOf } from '../request-id.ts';
import { type Backend, ownerOf } from './owners.ts';

export interface GatewayDoorOptions {
  nodes: Pick<NodeDirectory, 'reach'>;
  upstreams: Record<Backend | 'gateway', Upstream>;
  log: Logger;
}

/**
 * containerd's API at the fleet's edge, as raw HTTP/2: calls for a node's scope go to that node's agent, which is the
 * one door into it, the others to the part of the control plane that serves them.
 */
export function gatewayDoor({ nodes, upstreams, log }: GatewayDoorOptions): RawListener {
  async function routeOf(headers: IncomingHttpHeaders, requestId: string): Promise<Route> {
    const path = String(headers[':path']);
    const owner = ownerOf(path);
    if (owner === undefined) throw unimplemented(`unknown service ${path.slice(1, path.lastIndexOf('/'))}`);
    const node = nodeOf(headers);
    const common = { headers: { [Header.Node]: node, [Header.RequestId]: requestId }, takeTrailers };
    if (node !== FLEET) {
      const { upstream } = await nodes.reach(parseIdentifier(node, 'node'));
      return { ...common, name: `node ${JSON.stringify(node)}`, upstream };
    }
    if (owner === 'node') throw invalidArgument(`header ${Header.Node} is required`);
    return { ...common, name: `service ${JSON.stringify(owner)}`, upstream: upstreams[owner] };
  }

  async function pass(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const requestId = requestIdOf(headers[Header.RequestId]);
    try {
      await passOn(stream, headers, await routeOf(headers, requestId));
    } catch (error) {
      log.info({ request_id: requestId, method: headers[':path'], error: messageOf(error) }, 'call refused');
      endWithError(stream, error);
    }
  }

  return new RawListener((stream, headers) => void pass(stream, headers), log);
}

/** Events travel in trailers between the parts only: at the edge they come by `Subscribe`. */
function takeTrailers(trailers: IncomingHttpHeaders): void {
  delete trailers[Header.EventBin];
  delete trailers[Header.Collected];
}

function nodeOf(headers: IncomingHttpHeaders): string {
  return firstOf(headers[Header.Node]) || FLEET;
}

/** Values of a repeated header are joined by commas; as everywhere in containerd's API, the first one counts. */
function firstOf(value: string | string[] | undefined): string {
  const [first = ''] = [value ?? ''].flat();
  return first.split(',', 1)[0]!.trim();
}
