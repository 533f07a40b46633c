/** A part of this node as containerd's clients look for it: they ask by plugin type and id. */
export interface Part {
  type: string;
  id: string;
  hasPlatform?: boolean;
  exports?: Record<string, string>;
  capabilities?: string[];
  /** Its RPCs answer Unimplemented. */
  isMissing?: boolean;
}

const GRPC = 'io.containerd.grpc.v1';
// biome-ignore format: one list
const SERVED = [
  'containers', 'content', 'diff', 'events', 'healthcheck', 'images', 'introspection', 'leases', 'namespaces',
  'sandboxes', 'snapshots', 'streaming', 'tasks', 'transfer', 'version',
];
const MISSING = ['mounts', 'sandbox-controllers'];

export function parts(snapshotRoot: string): Part[] {
  return [
    { type: 'io.containerd.content.v1', id: 'content' },
    {
      type: 'io.containerd.snapshotter.v1',
      id: 'overlayfs',
      hasPlatform: true,
      exports: { root: snapshotRoot },
      capabilities: ['rebase'],
    },
    { type: 'io.containerd.differ.v1', id: 'walking', hasPlatform: true },
    { type: 'io.containerd.gc.v1', id: 'scheduler' },
    { type: 'io.containerd.runtime.v2', id: 'task', hasPlatform: true },
    ...SERVED.map((id) => ({ type: GRPC, id })),
    ...MISSING.map((id) => ({ type: GRPC, id, isMissing: true })),
  ];
}
