/** Parts of the control plane that serve calls at the edge; `gateway` is this process itself. */
export const BACKENDS = ['content', 'image', 'snapshot', 'runtime', 'events'] as const;
export type Backend = (typeof BACKENDS)[number];

/** Who answers a call without a node; `node` for what needs one. */
export type Owner = Backend | 'gateway' | 'node';

/** What a method is at the edge. */
export interface Plan {
  owner: Owner;
  /** It lists, over all nodes when none is named. */
  isList?: boolean;
  /** Field numbers that lead to the id of the container whose node it goes to when none is named. */
  container?: readonly number[];
  /** It is the gateway's own also when a node is named. */
  isDeletion?: boolean;
  /** Of longshore's own API: never a node's. */
  isOwn?: boolean;
  /** With {@link isOwn}: it works in the scope of a node that is named, though its agent is not asked. */
  isScoped?: boolean;
  /** With {@link isOwn}: it is about all nodes when none is named. */
  spansNodes?: boolean;
  /** What is kept between calls is in one replica: all such calls of one connection go there. */
  isSticky?: boolean;
}

interface Service extends Plan {
  /** Where methods differ from their service. Undefined methods are not served at the edge. */
  methods?: Readonly<Record<string, Partial<Plan>>>;
  /** No other methods than these. */
  only?: readonly string[];
}

const NODE_ONLY = { owner: 'node' } as const;
const LIST = { isList: true } as const;

const SERVICES: Readonly<Record<string, Service>> = {
  'containerd.services.content.v1.Content': { owner: 'content' },
  'containerd.services.leases.v1.Leases': { owner: 'content' },
  'containerd.services.namespaces.v1.Namespaces': { owner: 'content' },
  'containerd.services.images.v1.Images': { owner: 'image' },
  'containerd.services.transfer.v1.Transfer': { owner: 'image', isSticky: true },
  'containerd.services.streaming.v1.Streaming': { owner: 'image', isSticky: true },
  'containerd.services.snapshots.v1.Snapshots': {
    owner: 'snapshot',
    methods: {
      List: LIST,
      Prepare: NODE_ONLY,
      View: NODE_ONLY,
      Mounts: NODE_ONLY,
      Commit: NODE_ONLY,
      Remove: NODE_ONLY,
      Update: NODE_ONLY,
      Cleanup: NODE_ONLY,
    },
  },
  'containerd.services.containers.v1.Containers': {
    owner: 'runtime',
    container: [1],
    methods: {
      List: LIST,
      ListStream: LIST,
      Create: { owner: 'node', container: [] },
      Update: { container: [1, 1] },
      Delete: { isDeletion: true },
    },
  },
  'containerd.services.tasks.v1.Tasks': {
    owner: 'node',
    container: [1],
    methods: { List: LIST, Metrics: LIST },
  },
  'containerd.services.sandbox.v1.Store': {
    owner: 'runtime',
    methods: { List: LIST, Get: NODE_ONLY, Create: NODE_ONLY, Update: NODE_ONLY, Delete: NODE_ONLY },
  },
  'containerd.services.events.v1.Events': {
    owner: 'events',
    methods: { Subscribe: { owner: 'gateway', isOwn: true, spansNodes: true } },
  },
  'containerd.services.version.v1.Version': { owner: 'gateway' },
  'grpc.health.v1.Health': { owner: 'gateway' },
  'containerd.services.introspection.v1.Introspection': NODE_ONLY,
  'containerd.services.diff.v1.Diff': NODE_ONLY,
  'containerd.services.mounts.v1.Mounts': NODE_ONLY,
  'containerd.services.sandbox.v1.Controller': NODE_ONLY,
  'longshore.content.v1.CollectorService': { owner: 'content', isOwn: true, isScoped: true },
  'longshore.access.v1.AccessService': { owner: 'gateway', isOwn: true },
  'longshore.audit.v1.AuditService': { owner: 'gateway', isOwn: true },
  'longshore.content.v1.QuotaService': { owner: 'content', isOwn: true },
  'longshore.content.v1.ScrubService': { owner: 'content', isOwn: true },
  'longshore.events.v1.EventService': { owner: 'events', isOwn: true },
  'longshore.image.v1.FleetService': { owner: 'image', isOwn: true },
  'longshore.node.v1.StdioService': {
    owner: 'node',
    // The others are streams from the caller, whose first message the door does not wait for.
    methods: { Create: { container: [1] }, Logs: { container: [1] } },
  },
  'longshore.node.v1.TaskService': { owner: 'node', container: [1], only: ['Stop'] },
  'longshore.runtime.v1.NodeAdminService': { owner: 'runtime', isOwn: true },
  'longshore.runtime.v1.NodeService': { owner: 'runtime', isOwn: true, only: ['Get', 'List'] },
  'longshore.runtime.v1.CertificateService': { owner: 'runtime', isOwn: true, only: ['Issue', 'Revoke'] },
};

/**
 * What a method path such as `/containerd.services.images.v1.Images/Get` is; undefined for what the edge does not have:
 * the other services of longshore are for its parts only.
 */
export function planOf(path: string): Plan | undefined {
  const slash = path.lastIndexOf('/');
  const service = path.slice(1, slash);
  const method = path.slice(slash + 1);
  if (!Object.hasOwn(SERVICES, service)) return undefined;
  const { methods = {}, only, ...plan } = SERVICES[service]!;
  if (only && !only.includes(method)) return undefined;
  const own = Object.hasOwn(methods, method) ? methods[method]! : {};
  const whole: Plan = { ...plan, ...own };
  return whole.isList ? { ...whole, container: [] } : whole;
}
