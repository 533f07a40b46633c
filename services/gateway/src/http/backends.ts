import { parseIdentifier } from '@longshore/oci';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Namespaces } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import { FLEET } from '@longshore/proto/headers';
import { CollectorService } from '@longshore/proto/longshore/content/v1/collector';
import { QuotaService } from '@longshore/proto/longshore/content/v1/quotas';
import { EventService } from '@longshore/proto/longshore/events/v1/events';
import { FleetService } from '@longshore/proto/longshore/image/v1/fleet';
import { CertificateService } from '@longshore/proto/longshore/runtime/v1/certificates';
import { ContainerService } from '@longshore/proto/longshore/runtime/v1/containers';
import { NodeAdminService, NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { type Channel, createClient, type ServiceClient } from '@longshore/rpc';
import type { ContainerDeletion } from '../fleet/delete-container.ts';
import type { FleetLists } from '../fleet/lists.ts';
import type { NodeConnection } from '../nodes/node-connection.ts';
import type { NodeDirectory } from '../nodes/node-directory.ts';

/** Clients for the scope of one node, or for the fleet's own. */
export interface ScopedClients {
  containers: ServiceClient<typeof Containers>;
  content: ServiceClient<typeof Content>;
  leases: ServiceClient<typeof Leases>;
  namespaces: ServiceClient<typeof Namespaces>;
  images: ServiceClient<typeof Images>;
}

export interface BackendChannels {
  content: Channel;
  image: Channel;
  runtime: Channel;
  events: Channel;
}

export interface BackendsOptions {
  channels: BackendChannels;
  directory: Pick<NodeDirectory, 'find' | 'reach'>;
  lists: FleetLists;
  deletion: ContainerDeletion;
}

/** What the HTTP API asks: the control plane about the fleet, a node's agent about its scope. */
export class Backends {
  readonly nodes: ServiceClient<typeof NodeService>;
  readonly nodeAdmin: ServiceClient<typeof NodeAdminService>;
  readonly certificates: ServiceClient<typeof CertificateService>;
  /** Of any scope: its collections are not its agent's. */
  readonly collector: ServiceClient<typeof CollectorService>;
  readonly quotas: ServiceClient<typeof QuotaService>;
  readonly fleetImages: ServiceClient<typeof FleetService>;
  /** Where containers are. */
  readonly containers: ServiceClient<typeof ContainerService>;
  readonly events: ServiceClient<typeof EventService>;
  /** The records of containers, of any node, whether it can be reached or not. */
  readonly containerRecords: ServiceClient<typeof Containers>;
  /** Lists over all nodes. */
  readonly lists: FleetLists;
  readonly deletion: ContainerDeletion;
  readonly #fleet: ScopedClients;
  readonly #directory: Pick<NodeDirectory, 'find' | 'reach'>;

  constructor({ channels, directory, lists, deletion }: BackendsOptions) {
    this.nodes = createClient(NodeService, channels.runtime);
    this.nodeAdmin = createClient(NodeAdminService, channels.runtime);
    this.certificates = createClient(CertificateService, channels.runtime);
    this.collector = createClient(CollectorService, channels.content);
    this.quotas = createClient(QuotaService, channels.content);
    this.fleetImages = createClient(FleetService, channels.image);
    this.containers = createClient(ContainerService, channels.runtime);
    this.events = createClient(EventService, channels.events);
    this.containerRecords = createClient(Containers, channels.runtime);
    this.lists = lists;
    this.deletion = deletion;
    this.#fleet = {
      containers: this.containerRecords,
      content: createClient(Content, channels.content),
      leases: createClient(Leases, channels.content),
      namespaces: createClient(Namespaces, channels.content),
      images: createClient(Images, channels.image),
    };
    this.#directory = directory;
  }

  /** Throws NotFound for an unknown node, whether it can be reached or not. */
  async requireNode(node: string): Promise<void> {
    await this.#directory.find(parseIdentifier(node, 'node'));
  }

  /** A node's agent. Throws NotFound for an unknown node, Unavailable for one that is known to be away. */
  agent(node: string): Promise<Pick<NodeConnection, 'client'>> {
    return this.#directory.reach(parseIdentifier(node, 'node'));
  }

  /** Throws NotFound for an unknown node, Unavailable for one that is known to be away. */
  async in(node: string): Promise<ScopedClients> {
    if (node === FLEET) return this.#fleet;
    const connection = await this.#directory.reach(parseIdentifier(node, 'node'));
    return {
      containers: connection.client(Containers),
      content: connection.client(Content),
      leases: connection.client(Leases),
      namespaces: connection.client(Namespaces),
      images: connection.client(Images),
    };
  }
}
