/** Parts of the control plane that serve containerd's API at the edge; `gateway` is this process itself. */
export const BACKENDS = ['content', 'image', 'snapshot', 'runtime', 'events'] as const;
export type Backend = (typeof BACKENDS)[number];

interface Owner {
  /** Who serves it for the fleet's own scope; `node` for what only nodes have. */
  fleet: Backend | 'gateway' | 'node';
  /** Methods that only nodes have, of a service that the fleet has too. */
  nodeMethods?: readonly string[];
}

const OWNERS: Readonly<Record<string, Owner>> = {
  'containerd.services.content.v1.Content': { fleet: 'content' },
  'containerd.services.leases.v1.Leases': { fleet: 'content' },
  'containerd.services.namespaces.v1.Namespaces': { fleet: 'content' },
  'containerd.services.images.v1.Images': { fleet: 'image' },
  'containerd.services.transfer.v1.Transfer': { fleet: 'image' },
  'containerd.services.streaming.v1.Streaming': { fleet: 'image' },
  'containerd.services.snapshots.v1.Snapshots': {
    fleet: 'snapshot',
    nodeMethods: ['Prepare', 'View', 'Mounts', 'Commit', 'Remove', 'Update', 'Cleanup'],
  },
  'containerd.services.containers.v1.Containers': { fleet: 'runtime', nodeMethods: ['Create'] },
  'containerd.services.sandbox.v1.Store': { fleet: 'runtime', nodeMethods: ['Create'] },
  'containerd.services.events.v1.Events': { fleet: 'events' },
  'containerd.services.version.v1.Version': { fleet: 'gateway' },
  'grpc.health.v1.Health': { fleet: 'gateway' },
  'containerd.services.introspection.v1.Introspection': { fleet: 'node' },
  'containerd.services.tasks.v1.Tasks': { fleet: 'node' },
  'containerd.services.diff.v1.Diff': { fleet: 'node' },
  'containerd.services.mounts.v1.Mounts': { fleet: 'node' },
  'containerd.services.sandbox.v1.Controller': { fleet: 'node' },
};

/**
 * Who serves a method path such as `/containerd.services.images.v1.Images/Get` without a node: `node` when it needs
 * one, undefined for a service that the edge does not have. longshore's own services are for its parts only.
 */
export function ownerOf(path: string): Backend | 'gateway' | 'node' | undefined {
  const slash = path.lastIndexOf('/');
  const service = path.slice(1, slash);
  if (!Object.hasOwn(OWNERS, service)) return undefined;
  const { fleet, nodeMethods } = OWNERS[service]!;
  return nodeMethods?.includes(path.slice(slash + 1)) ? 'node' : fleet;
}
