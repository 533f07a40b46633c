import type { Need, Rule } from './rule.ts';

/** Who may make calls of one method. */
export interface RpcRule {
  rule: Rule;
  /** Field numbers that lead to the namespace's name in the request, for a rule about a namespace that no header names. */
  namespaceAt?: readonly number[];
  /** Its request is a stream, which is passed on as it comes. */
  streams?: boolean;
}

const OPEN: RpcRule = { rule: { on: 'nothing' } };
const SELF: RpcRule = { rule: { on: 'self' } };
const READ = inNamespace('read');
const WRITE = inNamespace('write');
const WRITE_STREAM: RpcRule = { ...WRITE, streams: true };
/** Of a namespace that the request names by its first field; `*`, and none, are the whole fleet. */
const ADMIN_OF_NAMED: RpcRule = { ...inNamespace('admin'), namespaceAt: [1] };
const FLEET_READ = onFleet('read');
const FLEET_WRITE = onFleet('write');
const FLEET_ADMIN = onFleet('admin');

function inNamespace(need: Need): RpcRule {
  return { rule: { on: 'namespace', need } };
}

function onFleet(need: Need): RpcRule {
  return { rule: { on: 'fleet', need } };
}

function each(rule: RpcRule, ...methods: string[]): Record<string, RpcRule> {
  return Object.fromEntries(methods.map((method) => [method, rule]));
}

/** By service and method. What is not here is refused; a test looks that each RPC is here, or in {@link NOT_AT_THE_EDGE}. */
export const RPC_RULES: Readonly<Record<string, Readonly<Record<string, RpcRule>>>> = {
  'containerd.services.containers.v1.Containers': {
    ...each(READ, 'Get', 'List', 'ListStream'),
    ...each(WRITE, 'Create', 'Update', 'Delete'),
  },
  'containerd.services.content.v1.Content': {
    ...each(READ, 'Info', 'List', 'Read', 'Status', 'ListStatuses'),
    ...each(WRITE, 'Update', 'Delete', 'Abort'),
    Write: WRITE_STREAM,
  },
  'containerd.services.diff.v1.Diff': each(WRITE, 'Apply', 'Diff'),
  'containerd.services.events.v1.Events': {
    // In the name of any namespace, and of all.
    ...each(FLEET_ADMIN, 'Publish', 'Forward'),
    Subscribe: { rule: { on: 'somewhere', need: 'read' } },
  },
  'containerd.services.images.v1.Images': {
    ...each(READ, 'Get', 'List'),
    ...each(WRITE, 'Create', 'Update', 'Delete'),
  },
  'containerd.services.introspection.v1.Introspection': {
    ...each(SELF, 'Server'),
    ...each(READ, 'Plugins', 'PluginInfo'),
  },
  'containerd.services.leases.v1.Leases': {
    ...each(READ, 'List', 'ListResources'),
    ...each(WRITE, 'Create', 'Delete', 'AddResource', 'DeleteResource'),
  },
  'containerd.services.mounts.v1.Mounts': {
    ...each(READ, 'Info', 'List'),
    ...each(WRITE, 'Activate', 'Deactivate', 'Update'),
  },
  'containerd.services.namespaces.v1.Namespaces': {
    Get: { ...READ, namespaceAt: [1] },
    ...each(FLEET_READ, 'List'),
    ...each(FLEET_WRITE, 'Create', 'Update', 'Delete'),
  },
  'containerd.services.sandbox.v1.Store': {
    ...each(READ, 'Get', 'List'),
    ...each(WRITE, 'Create', 'Update', 'Delete'),
  },
  'containerd.services.sandbox.v1.Controller': {
    ...each(READ, 'Platform', 'Wait', 'Status', 'Metrics'),
    ...each(WRITE, 'Create', 'Start', 'Stop', 'Shutdown', 'Update'),
  },
  'containerd.services.snapshots.v1.Snapshots': {
    ...each(READ, 'Mounts', 'Stat', 'List', 'Usage'),
    ...each(WRITE, 'Prepare', 'View', 'Commit', 'Remove', 'Update', 'Cleanup'),
  },
  'containerd.services.streaming.v1.Streaming': each(WRITE_STREAM, 'Stream'),
  'containerd.services.tasks.v1.Tasks': {
    ...each(READ, 'Get', 'List', 'ListPids', 'Metrics', 'Wait'),
    ...each(WRITE, 'Create', 'Start', 'Delete', 'DeleteProcess', 'Kill', 'Exec', 'ResizePty', 'CloseIO'),
    ...each(WRITE, 'Pause', 'Resume', 'Checkpoint', 'Update'),
  },
  'containerd.services.transfer.v1.Transfer': each(WRITE, 'Transfer'),
  'containerd.services.version.v1.Version': each(SELF, 'Version'),
  'grpc.health.v1.Health': each(OPEN, 'Check', 'List', 'Watch'),
  'longshore.content.v1.CollectorService': {
    ...each(WRITE, 'Collect'),
    ...each(READ, 'DryRun'),
    // It tells who else has the bytes.
    ...each(FLEET_READ, 'Explain'),
  },
  'longshore.access.v1.AccessService': {
    ...each(SELF, 'WhoAmI'),
    ...each(ADMIN_OF_NAMED, 'CreateToken', 'ListTokens', 'RevokeToken'),
    ...each(ADMIN_OF_NAMED, 'CreateBinding', 'ListBindings', 'DeleteBinding'),
  },
  'longshore.audit.v1.AuditService': each(ADMIN_OF_NAMED, 'List'),
  'longshore.content.v1.QuotaService': {
    Get: { ...READ, namespaceAt: [1] },
    ...each(FLEET_READ, 'List'),
    ...each(FLEET_ADMIN, 'Set'),
  },
  'longshore.content.v1.ScrubService': {
    ...each(FLEET_READ, 'ListCorrupt'),
    ...each(FLEET_WRITE, 'Scrub'),
  },
  'longshore.events.v1.EventService': { ...each(READ, 'Subscribe'), ...each(FLEET_READ, 'SubscribeFleet') },
  'longshore.image.v1.FleetService': each(WRITE, 'Pull'),
  'longshore.node.v1.StdioService': {
    ...each(READ, 'Logs', 'FindUser'),
    ...each(WRITE, 'Create'),
    ...each(WRITE_STREAM, 'Attach', 'Exec'),
  },
  'longshore.node.v1.TaskService': each(WRITE, 'Stop'),
  'longshore.runtime.v1.CertificateService': each(FLEET_ADMIN, 'Issue', 'Revoke'),
  'longshore.runtime.v1.NodeAdminService': {
    ...each(FLEET_WRITE, 'SetCordon', 'Drain', 'SetLabels'),
    ...each(FLEET_ADMIN, 'Remove', 'CreateJoinToken', 'ListJoinTokens', 'DeleteJoinToken'),
  },
  'longshore.runtime.v1.NodeService': each(FLEET_READ, 'Get', 'List'),
};

/** RPCs, and whole services, that were decided to be none of a caller's at the edge: its parts speak them to one another. */
export const NOT_AT_THE_EDGE: readonly string[] = [
  'containerd.runtime.sandbox.v1.Sandbox',
  'containerd.services.events.ttrpc.v1.Events',
  'containerd.task.v2.Task',
  'containerd.task.v3.Task',
  'longshore.content.v1.BlobService/ForgetNode',
  'longshore.content.v1.BlobService/Link',
  'longshore.content.v1.BlobService/Locate',
  'longshore.content.v1.BlobService/Verify',
  'longshore.content.v1.ClaimService/Acquire',
  'longshore.content.v1.ClaimService/Release',
  'longshore.content.v1.ClaimService/Renew',
  'longshore.events.v1.SpoolService/Append',
  'longshore.events.v1.SpoolService/Check',
  'longshore.node.v1.ImageService/Install',
  'longshore.node.v1.TaskService/StopAll',
  'longshore.runtime.v1.CertificateService/Renew',
  'longshore.runtime.v1.CertificateService/WatchRevocations',
  'longshore.runtime.v1.ContainerService/ConfirmDeleting',
  'longshore.runtime.v1.ContainerService/Find',
  'longshore.runtime.v1.ContainerService/ListPage',
  'longshore.runtime.v1.ContainerService/MarkDeleting',
  'longshore.runtime.v1.ContainerService/ReleaseTask',
  'longshore.runtime.v1.JoinService/Join',
  'longshore.runtime.v1.NodeService/Heartbeat',
  'longshore.runtime.v1.NodeService/Register',
  'longshore.snapshot.v1.CatalogueService/Commit',
  'longshore.snapshot.v1.CatalogueService/ConfirmTombstones',
  'longshore.snapshot.v1.CatalogueService/Get',
  'longshore.snapshot.v1.CatalogueService/List',
  'longshore.snapshot.v1.CatalogueService/ListGenerations',
  'longshore.snapshot.v1.CatalogueService/ListTombstones',
  'longshore.snapshot.v1.CatalogueService/Prepare',
  'longshore.snapshot.v1.CatalogueService/Remove',
  'longshore.snapshot.v1.CatalogueService/Update',
  'longshore.watch.v1.WatchService/Watch',
];

/** By method path, e.g. `/containerd.services.images.v1.Images/Get`. */
const BY_PATH: ReadonlyMap<string, RpcRule> = new Map(
  Object.entries(RPC_RULES).flatMap(([service, methods]) =>
    Object.entries(methods).map(([method, rule]): [string, RpcRule] => [`/${service}/${method}`, rule]),
  ),
);

/** Undefined for what nobody may call at the edge. */
export function rpcRuleOf(path: string): RpcRule | undefined {
  return BY_PATH.get(path);
}

/** Whether calls of a method change something. */
export function changes({ rule }: RpcRule): boolean {
  return 'need' in rule && rule.need !== 'read';
}
