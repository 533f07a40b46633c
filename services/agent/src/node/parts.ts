import type { Snapshotter } from '../snapshots/snapshotter.ts';

/** A part of this node as containerd's clients look for it: they ask by plugin type and id. */
export interface Part {
  type: string;
  id: string;
  hasPlatform?: boolean;
  exports?: Readonly<Record<string, string>>;
  capabilities?: readonly string[];
  /** Its RPCs answer Unimplemented. */
  isMissing?: boolean;
}

/** What differs between nodes. */
export interface NodeParts {
  snapshotters: readonly Pick<Snapshotter, 'name' | 'exports' | 'capabilities'>[];
  /** Where `ctr install` puts runtimes. */
  opt: string;
}

/** The part that runs tasks; it can tell about runtimes. */
export const RUNTIME = { type: 'io.containerd.runtime.v2', id: 'task' } as const;

const GRPC = 'io.containerd.grpc.v1';
// biome-ignore format: one list
const SERVED = [
  'containers', 'content', 'diff', 'events', 'healthcheck', 'images', 'introspection', 'leases', 'namespaces',
  'sandboxes', 'snapshots', 'streaming', 'tasks', 'transfer', 'version',
];
const MISSING = ['mounts', 'sandbox-controllers'];

export function parts({ snapshotters, opt }: NodeParts): Part[] {
  return [
    { type: 'io.containerd.content.v1', id: 'content' },
    ...snapshotters.map(({ name, exports, capabilities }) => ({
      type: 'io.containerd.snapshotter.v1',
      id: name,
      hasPlatform: true,
      exports,
      capabilities,
    })),
    { type: 'io.containerd.differ.v1', id: 'walking', hasPlatform: true },
    { type: 'io.containerd.gc.v1', id: 'scheduler' },
    { ...RUNTIME, hasPlatform: true },
    // By them clients know whether restart labels are honoured, and which policies.
    {
      type: 'io.containerd.monitor.container.v1',
      id: 'restart',
      capabilities: ['no', 'always', 'on-failure', 'unless-stopped'],
    },
    { type: 'io.containerd.monitor.task.v1', id: 'cgroups', hasPlatform: true },
    { type: 'io.containerd.internal.v1', id: 'opt', exports: { path: opt } },
    ...SERVED.map((id) => ({ type: GRPC, id })),
    ...MISSING.map((id) => ({ type: GRPC, id, isMissing: true })),
  ];
}
