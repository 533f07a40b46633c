import { LongshoreError } from '@longshore/errors';
import { Header } from '@longshore/proto/headers';
import { formatPeer, type Peer } from '@longshore/transport';

/**
 * What a node's certificate may call within its own scope. containerd's services may stand for all of their methods; ours
 * are listed one by one, so that each new one is decided about.
 */
export const NODE_MAY_CALL_IN_ITS_SCOPE: readonly string[] = [
  'containerd.services.containers.v1.Containers',
  'containerd.services.content.v1.Content',
  'containerd.services.images.v1.Images',
  'containerd.services.leases.v1.Leases',
  'containerd.services.namespaces.v1.Namespaces',
  'containerd.services.sandbox.v1.Store',
  'containerd.services.snapshots.v1.Snapshots/List',
  'containerd.services.snapshots.v1.Snapshots/Mounts',
  'containerd.services.snapshots.v1.Snapshots/Stat',
  'containerd.services.snapshots.v1.Snapshots/Usage',
  'longshore.content.v1.BlobService/Link',
  'longshore.content.v1.BlobService/Locate',
  'longshore.content.v1.BlobService/Verify',
  'longshore.content.v1.ClaimService/Acquire',
  'longshore.content.v1.ClaimService/Release',
  'longshore.content.v1.ClaimService/Renew',
  'longshore.content.v1.CollectorService/Collect',
  'longshore.events.v1.SpoolService/Append',
  'longshore.events.v1.SpoolService/Check',
  'longshore.runtime.v1.ContainerService/ConfirmDeleting',
  'longshore.runtime.v1.ContainerService/ReleaseTask',
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

/** What a node may call whatever its headers say: their handlers ask {@link Call.requireNode}, or tell everyone the same. */
export const NODE_MAY_CALL: readonly string[] = [
  'grpc.health.v1.Health',
  'longshore.runtime.v1.CertificateService/Renew',
  'longshore.runtime.v1.CertificateService/WatchRevocations',
  'longshore.runtime.v1.NodeService/Get',
  'longshore.runtime.v1.NodeService/Heartbeat',
  'longshore.runtime.v1.NodeService/Register',
];

/** Our own methods that were decided to be none of a node's: for services and, through the gateway, operators. */
export const NODE_MAY_NOT_CALL: readonly string[] = [
  'longshore.access.v1.AccessService/CreateBinding',
  'longshore.access.v1.AccessService/CreateToken',
  'longshore.access.v1.AccessService/DeleteBinding',
  'longshore.access.v1.AccessService/ListBindings',
  'longshore.access.v1.AccessService/ListTokens',
  'longshore.access.v1.AccessService/RevokeToken',
  'longshore.access.v1.AccessService/WhoAmI',
  'longshore.audit.v1.AuditService/List',
  'longshore.content.v1.BlobService/ForgetNode',
  'longshore.content.v1.CollectorService/DryRun',
  'longshore.content.v1.CollectorService/Explain',
  'longshore.content.v1.QuotaService/Get',
  'longshore.content.v1.QuotaService/List',
  'longshore.content.v1.QuotaService/Set',
  'longshore.content.v1.ScrubService/ListCorrupt',
  'longshore.content.v1.ScrubService/Scrub',
  'longshore.events.v1.EventService/Subscribe',
  'longshore.events.v1.EventService/SubscribeFleet',
  'longshore.image.v1.FleetService/Pull',
  'longshore.node.v1.ImageService/Install',
  'longshore.node.v1.LayerService/Reconcile',
  'longshore.node.v1.StdioService/Attach',
  'longshore.node.v1.StdioService/Create',
  'longshore.node.v1.StdioService/Exec',
  'longshore.node.v1.StdioService/FindUser',
  'longshore.node.v1.StdioService/Logs',
  'longshore.node.v1.TaskService/Stop',
  'longshore.node.v1.TaskService/StopAll',
  'longshore.runtime.v1.CertificateService/Issue',
  'longshore.runtime.v1.CertificateService/Revoke',
  'longshore.runtime.v1.ContainerService/Find',
  'longshore.runtime.v1.ContainerService/ListPage',
  'longshore.runtime.v1.ContainerService/MarkDeleting',
  'longshore.runtime.v1.JoinService/Join',
  'longshore.runtime.v1.NodeAdminService/CreateJoinToken',
  'longshore.runtime.v1.NodeAdminService/DeleteJoinToken',
  'longshore.runtime.v1.NodeAdminService/Drain',
  'longshore.runtime.v1.NodeAdminService/ListJoinTokens',
  'longshore.runtime.v1.NodeAdminService/Remove',
  'longshore.runtime.v1.NodeAdminService/SetCordon',
  'longshore.runtime.v1.NodeAdminService/SetLabels',
  'longshore.runtime.v1.NodeService/List',
];

/** What callers without a certificate may call, on a listener that asks for none. */
export const ANYONE_MAY_CALL: readonly string[] = [
  'grpc.health.v1.Health',
  'longshore.runtime.v1.JoinService/Join',
];

const inScope = new Set(NODE_MAY_CALL_IN_ITS_SCOPE);
const always = new Set(NODE_MAY_CALL);
const anyone = new Set(ANYONE_MAY_CALL);

/** One call that asks to be let in. */
export interface Asking {
  readonly peer: Peer;
  /** e.g. `/containerd.services.images.v1.Images/Get` */
  readonly method: string;
  /** The node of the scope that the call is to work in. */
  readonly node: string;
}

/**
 * Deny by default: what is not listed above is for services, and for those on this machine. Throws PermissionDenied.
 * Users come through the gateway, which decides about them.
 */
export function checkAccess({ peer, method, node }: Asking): void {
  switch (peer.kind) {
    case 'local':
    case 'service':
      return;
    case 'node':
      if (isListed(always, method)) return;
      if (!isListed(inScope, method)) break;
      checkNode(peer, node, `header ${Header.Node}`);
      return;
    case 'anonymous':
      if (isListed(anyone, method)) return;
      break;
    case 'user':
      break;
  }
  throw permissionDenied(`${formatPeer(peer)} may not call ${method.slice(1)}`);
}

/** Whether to believe what a call says about who made it at the fleet's edge: the gateway's word, and this machine's. */
export function namesCallers(peer: Peer): boolean {
  return peer.kind === 'local' || (peer.kind === 'service' && peer.name === 'gateway');
}

/** A node's certificate is good for that node alone. Throws PermissionDenied; `where` says what named the other. */
export function checkNode(peer: Peer, id: string, where: string): void {
  if (peer.kind !== 'node' || peer.id === id) return;
  throw permissionDenied(`${where} names ${JSON.stringify(id)}, the certificate ${formatPeer(peer)}`);
}

function isListed(list: ReadonlySet<string>, method: string): boolean {
  return list.has(method.slice(1)) || list.has(method.slice(1, method.lastIndexOf('/')));
}

function permissionDenied(problem: string): LongshoreError {
  return new LongshoreError('PermissionDenied', `${problem}: permission denied`);
}
