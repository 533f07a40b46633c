/** Where the services of containerd's API are served: by the agent itself, or by a part of the control plane. */
export type Owner = 'agent' | 'content' | 'image' | 'runtime';

const OWNERS: Readonly<Record<string, Owner>> = {
  'containerd.services.containers.v1.Containers': 'runtime',
  'containerd.services.sandbox.v1.Store': 'runtime',
  'containerd.services.content.v1.Content': 'content',
  'containerd.services.leases.v1.Leases': 'content',
  'containerd.services.namespaces.v1.Namespaces': 'content',
  'containerd.services.images.v1.Images': 'image',
  'containerd.services.tasks.v1.Tasks': 'agent',
  'containerd.services.snapshots.v1.Snapshots': 'agent',
  'containerd.services.diff.v1.Diff': 'agent',
  'containerd.services.events.v1.Events': 'agent',
  'containerd.services.introspection.v1.Introspection': 'agent',
  'containerd.services.version.v1.Version': 'agent',
  'containerd.services.transfer.v1.Transfer': 'agent',
  'containerd.services.streaming.v1.Streaming': 'agent',
  'containerd.services.mounts.v1.Mounts': 'agent',
  'containerd.services.sandbox.v1.Controller': 'agent',
  'grpc.health.v1.Health': 'agent',
  'longshore.content.v1.CollectorService': 'content',
  'longshore.node.v1.ImageService': 'agent',
  'longshore.node.v1.LayerService': 'agent',
  'longshore.node.v1.StdioService': 'agent',
  'longshore.node.v1.TaskService': 'agent',
};

/** The owner of a method path such as `/containerd.services.images.v1.Images/Get`. */
export function ownerOf(path: string): Owner | undefined {
  const service = path.slice(1, path.lastIndexOf('/'));
  return Object.hasOwn(OWNERS, service) ? OWNERS[service] : undefined;
}
