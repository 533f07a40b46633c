import type { IncomingHttpHeaders } from 'node:http2';
import { invalidArgument } from '@longshore/errors';
import type { Route, Upstream } from '@longshore/kit';
import { parseIdentifier } from '@longshore/oci';
import { FLEET, Header } from '@longshore/proto/headers';
import type { ContainerService } from '@longshore/proto/longshore/runtime/v1/containers';
import type { ServiceClient } from '@longshore/rpc';
import { nodeOfContainer } from '../nodes/container-finder.ts';
import type { NodeDirectory } from '../nodes/node-directory.ts';
import type { Backend, Plan } from './owners.ts';
import { textAt } from './request-fields.ts';

const FIND_TIMEOUT_MS = 5_000;

/** A call at the door, before it is passed on. */
export interface IncomingCall {
  plan: Plan;
  headers: IncomingHttpHeaders;
  requestId: string;
  /** Reads the request, if it was not read before. */
  message(): Promise<Uint8Array>;
}

/** Where a call goes, and the scope that it works in there. */
export interface Way extends Pick<Route, 'name' | 'upstream'> {
  /** Empty for all. */
  node: string;
}

export interface DestinationOptions {
  nodes: Pick<NodeDirectory, 'reach'>;
  containers: Pick<ServiceClient<typeof ContainerService>, 'find'>;
  upstreams: Record<Backend | 'gateway', Upstream>;
}

/** Decides where calls go. */
export class Destination {
  readonly #options: DestinationOptions;

  constructor(options: DestinationOptions) {
    this.#options = options;
  }

  /**
   * Throws InvalidArgument for a call that needs a node and names none, or a container that several nodes have; NotFound
   * for a node or a container that there is not; Unavailable for a node that is known to be away.
   */
  async of(call: IncomingCall): Promise<Way> {
    const { plan } = call;
    const named = firstOf(call.headers[Header.Node]);
    if (plan.isOwn) return this.#own(plan, named);
    if (named === FLEET) return this.#service(plan);
    if (named !== '') return this.#node(parseIdentifier(named, 'node'), plan);
    if (plan.isList) return this.#gateway(FLEET);
    if (plan.container?.length) return this.#node(await this.#find(call, plan.container), plan);
    return this.#service(plan);
  }

  #service({ owner }: Plan): Way {
    if (owner === 'node') throw invalidArgument(`header ${Header.Node} is required`);
    return {
      name: `service ${JSON.stringify(owner)}`,
      upstream: this.#options.upstreams[owner],
      node: FLEET,
    };
  }

  #own(plan: Plan, named: string): Way {
    const way = this.#service(plan);
    if (plan.spansNodes && named === '') return { ...way, node: '' };
    return (plan.isScoped || plan.spansNodes) && named !== '' ? { ...way, node: parseScopeNode(named) } : way;
  }

  #gateway(node: string): Way {
    return { name: 'service "gateway"', upstream: this.#options.upstreams.gateway, node };
  }

  async #node(node: string, plan: Plan): Promise<Way> {
    if (plan.isDeletion) return this.#gateway(node);
    const upstream = await this.#options.nodes.reach(node);
    return { name: `node ${JSON.stringify(node)}`, upstream, node };
  }

  async #find({ headers, requestId, message }: IncomingCall, path: readonly number[]): Promise<string> {
    return nodeOfContainer(this.#options.containers, textAt(await message(), path), {
      headers: {
        [Header.Namespace]: firstOf(headers[Header.Namespace]),
        [Header.RequestId]: requestId,
      },
      deadline: new Date(Date.now() + FIND_TIMEOUT_MS),
    });
  }
}

function parseScopeNode(named: string): string {
  return named === FLEET ? FLEET : parseIdentifier(named, 'node');
}

/** Values of a repeated header are joined by commas; as everywhere in containerd's API, the first one counts. */
function firstOf(value: string | string[] | undefined): string {
  const [first = ''] = [value ?? ''].flat();
  return first.split(',', 1)[0]!.trim();
}
