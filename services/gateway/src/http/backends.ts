import { type Channel, createClient, type ServiceClient } from '@longshore/client';
import { parseIdentifier } from '@longshore/oci';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Namespaces } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import { FLEET } from '@longshore/proto/headers';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import type { NodeDirectory } from '../nodes/node-directory.ts';

/** Clients for the scope of one node, or for the fleet's own. */
export interface ScopedClients {
  namespaces: ServiceClient<typeof Namespaces>;
  images: ServiceClient<typeof Images>;
  containers: ServiceClient<typeof Containers>;
}

export interface BackendAddresses {
  content: Channel;
  image: Channel;
  runtime: Channel;
}

/** What the HTTP API asks: the control plane about the fleet, a node's agent about its scope. */
export class Backends {
  readonly nodes: ServiceClient<typeof NodeService>;
  readonly #fleet: ScopedClients;
  readonly #directory: Pick<NodeDirectory, 'reach'>;

  constructor({ content, image, runtime }: BackendAddresses, directory: Pick<NodeDirectory, 'reach'>) {
    this.nodes = createClient(NodeService, runtime);
    this.#fleet = {
      namespaces: createClient(Namespaces, content),
      images: createClient(Images, image),
      containers: createClient(Containers, runtime),
    };
    this.#directory = directory;
  }

  /** Throws NotFound for an unknown node. */
  async in(node: string): Promise<ScopedClients> {
    if (node === FLEET) return this.#fleet;
    const { channel } = await this.#directory.reach(parseIdentifier(node, 'node'));
    return {
      namespaces: createClient(Namespaces, channel),
      images: createClient(Images, channel),
      containers: createClient(Containers, channel),
    };
  }
}
