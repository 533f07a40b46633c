import {
  type Descriptor,
  formatReference,
  hostPlatform,
  type Platform,
  type Reference,
} from '@longshore/oci';
import type { Content } from '@longshore/proto/containerd/services/content/v1/content';
import type { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { FLEET, Header } from '@longshore/proto/headers';
import type { BlobService, ClaimService } from '@longshore/proto/longshore/content/v1/blobs';
import type { InstallResponse } from '@longshore/proto/longshore/node/v1/images';
import { type RegistryAccess, RegistryClient, type RegistryTransport } from '@longshore/registry';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import { type BlobProgress, ContentStore, pullImage, Turns, withLease } from '@longshore/transfer';
import { type ChosenNode, chooseNodes, type NodeList, platformOf } from './node-choice.ts';
import type { InstallOnNode } from './node-installer.ts';

export interface FleetPullParts {
  content: ServiceClient<typeof Content>;
  blobs: ServiceClient<typeof BlobService>;
  claims: ServiceClient<typeof ClaimService>;
  leases: ServiceClient<typeof Leases>;
  nodes: NodeList;
  install: InstallOnNode;
  transport: RegistryTransport;
}

export interface FleetPullRequest {
  reference: Reference;
  nodes: readonly string[];
  selector: string;
  /** Default: each node's own. */
  platform: Platform | undefined;
  snapshotter: string;
  maxConcurrent: number;
  access: RegistryAccess;
}

/** How one node does. `error` says why it has no image. */
export interface NodeOutcome {
  progress: InstallResponse | undefined;
  isDone: boolean;
  error: unknown;
}

export interface FleetPullListener {
  onNodes(ids: readonly string[]): void;
  onResolved(target: Descriptor): void;
  onBlob(progress: BlobProgress): void;
  onNode(id: string, outcome: NodeOutcome): void;
}

/**
 * Fetches an image into the fleet's own scope of the namespace, then has the nodes take it, each at its own risk: a node
 * that fails is reported and nothing else. `record` names the image once all were tried.
 */
export async function fleetPull(
  parts: FleetPullParts,
  request: FleetPullRequest,
  listener: FleetPullListener,
  { headers, signal }: { headers: Record<string, string>; signal: AbortSignal },
  record: (target: Descriptor) => Promise<void>,
): Promise<void> {
  const chosen = await chooseNodes(parts.nodes, request.nodes, request.selector, signal);
  listener.onNodes(chosen.map(({ id }) => id));
  for (const { id, obstacle } of chosen) {
    if (obstacle) listener.onNode(id, { progress: undefined, isDone: true, error: obstacle });
  }
  const reachable = chosen.filter(({ obstacle }) => !obstacle);
  const inFleet: CallOptions = { headers: { ...headers, [Header.Node]: FLEET }, signal };
  await withLease(parts.leases, inFleet, async (options) => {
    const { reference } = request;
    const { target } = await pullImage({
      reference,
      client: new RegistryClient(parts.transport, reference.host, request.access),
      store: new ContentStore({ ...parts, registry: reference.host, options }),
      platforms: platformsOf(request, reachable),
      signal,
      onResolved: listener.onResolved,
      onBlob: listener.onBlob,
    });
    await installAll(parts, request, reachable, target, { headers, signal }, listener);
    signal.throwIfAborted();
    await record(target);
  });
}

async function installAll(
  { install }: FleetPullParts,
  { reference, platform, snapshotter, maxConcurrent }: FleetPullRequest,
  chosen: readonly ChosenNode[],
  target: Descriptor,
  { headers, signal }: { headers: Record<string, string>; signal: AbortSignal },
  { onNode }: FleetPullListener,
): Promise<void> {
  const image = { name: formatReference(reference), target, snapshotter, registry: reference.host };
  const turns = new Turns(maxConcurrent);
  const installOne = async ({ id, node }: ChosenNode) => {
    signal.throwIfAborted();
    const tell = (progress: InstallResponse) => onNode(id, { progress, isDone: false, error: undefined });
    const ownPlatform = platform ?? platformOf(node!);
    // A lease is of one scope: each node makes its own.
    const { [Header.Lease]: _, ...nodeHeaders } = headers;
    await install(node!, { ...image, platform: ownPlatform }, { headers: nodeHeaders, signal }, tell);
  };
  await Promise.all(
    chosen.map((one) =>
      turns
        .run(() => installOne(one))
        .then(
          () => onNode(one.id, { progress: undefined, isDone: true, error: undefined }),
          (error: unknown) => onNode(one.id, { progress: undefined, isDone: true, error }),
        ),
    ),
  );
}

/** What has to be fetched, so that every node finds its own. */
function platformsOf({ platform }: FleetPullRequest, chosen: readonly ChosenNode[]): Platform[] {
  if (platform) return [platform];
  const wanted = new Map(
    chosen.map(({ node }) => platformOf(node!)).map((each) => [JSON.stringify(each), each]),
  );
  return wanted.size > 0 ? [...wanted.values()] : [hostPlatform()];
}
