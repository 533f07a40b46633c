/** The services whose answers a node remembers, by the part of the control plane that keeps their records. */
export type Keeper = 'content' | 'image' | 'runtime' | 'snapshot';

const KEEPERS: Readonly<Record<string, Keeper>> = {
  'containerd.services.content.v1.Content': 'content',
  'containerd.services.images.v1.Images': 'image',
  'containerd.services.containers.v1.Containers': 'runtime',
  'containerd.services.snapshots.v1.Snapshots': 'snapshot',
};

/** Questions about one record: asked again and again, with a small answer. */
const REMEMBERED: ReadonlySet<string> = new Set(['Get', 'Info', 'Read', 'Stat', 'Mounts']);
/** Answered anew each time, but they change nothing. */
const HARMLESS: ReadonlySet<string> = new Set(['List', 'ListStream', 'Status', 'ListStatuses', 'Usage']);

export interface Memory {
  keeper: Keeper;
  /** `change`: what is remembered of the namespace may be wrong when the call begins, until after it has ended. */
  kind: 'remembered' | 'harmless' | 'change';
}

/** How a call of a method path such as `/containerd.services.images.v1.Images/Get` concerns what a node remembers. */
export function memoryOf(path: string): Memory | undefined {
  const slash = path.lastIndexOf('/');
  const service = path.slice(1, slash);
  if (!Object.hasOwn(KEEPERS, service)) return undefined;
  const method = path.slice(slash + 1);
  const kind = REMEMBERED.has(method) ? 'remembered' : HARMLESS.has(method) ? 'harmless' : 'change';
  return { keeper: KEEPERS[service] as Keeper, kind };
}
