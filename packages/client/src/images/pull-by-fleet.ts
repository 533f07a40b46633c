import { fromGrpcStatus, LongshoreError, unimplemented } from '@longshore/errors';
import { formatPlatform, formatReference, isDigest } from '@longshore/oci';
import {
  FleetService,
  type NodeProgress as NodeMessage,
  PullResponse_Phase as Phase,
  type PullResponse,
} from '@longshore/proto/longshore/image/v1/fleet';
import type { ImageParts } from './image-parts.ts';
import { hostOf } from './open-registry.ts';
import type { BlobState, NodeProgress, ProgressTracker } from './progress.ts';
import type { ClientPull } from './pull-by-client.ts';

export interface FleetPull extends ClientPull {
  nodes: readonly string[];
  selector: string;
}

const STATES: Readonly<Record<string, BlobState>> = {
  waiting: 'waiting',
  fetching: 'transferring',
  done: 'done',
  exists: 'exists',
};

/**
 * Has a fleet pull: each blob once, into the fleet's own scope, from where every chosen node takes the image. All nodes are tried; throws
 * the first failure, which says how many failed. Those that did not fail have the image.
 */
export async function pullByFleet({ services }: ImageParts, request: FleetPull): Promise<void> {
  const { reference, name, labels, platforms, snapshotter, nodes, selector, tracker, signal } = request;
  const { plainHttp = false, ca, headers } = hostOf(request.registry.hosts, reference.host);
  const isPlain = name === formatReference(reference) && Object.keys(labels).length === 0;
  const isSetUp = ca !== undefined || headers !== undefined || request.registry.hostsDirectory !== undefined;
  if (!isPlain || platforms.length > 1 || isSetUp) {
    throw unimplemented(
      'pull by a fleet with a name, labels, several platforms, or a registry set up by the client',
    );
  }
  const [platform] = platforms;
  const call = services.service(FleetService).pull(
    {
      reference: formatReference(reference),
      nodes: [...nodes],
      selector,
      plainHttp,
      snapshotter: snapshotter ?? '',
      platform: platform ? formatPlatform(platform) : '',
      ...(await passwordOf(request)),
    },
    { signal },
  );
  let last: PullResponse | undefined;
  for await (const response of call) {
    last = response;
    show(response, tracker);
  }
  refuseFailures(name, last?.nodes ?? []);
}

function show({ phase, digest, blobs, nodes }: PullResponse, tracker: ProgressTracker): void {
  if (phase === Phase.FETCHING && isDigest(digest)) tracker.resolved(digest);
  if (phase === Phase.INSTALLING) tracker.phase('unpacking');
  for (const blob of blobs) {
    const state = Object.hasOwn(STATES, blob.status) ? STATES[blob.status] : undefined;
    if (!state || !isDigest(blob.digest)) continue;
    tracker.blob(
      { digest: blob.digest, mediaType: '', size: Number(blob.total) },
      state,
      Number(blob.offset),
    );
  }
  tracker.nodes(nodes.map(nodeFromProto));
}

function nodeFromProto({ node, done, error, progress }: NodeMessage): NodeProgress {
  const layers = (progress?.layers ?? []).map(({ digest, status, offset, total }) => ({
    digest,
    state: status,
    offsetBytes: Number(offset),
    totalBytes: Number(total),
  }));
  return { node, isDone: done, error: error || undefined, layers };
}

function refuseFailures(name: string, nodes: readonly NodeMessage[]): void {
  const failed = nodes.filter(({ error }) => error !== '');
  const [first] = failed;
  if (!first) return;
  const { kind } = fromGrpcStatus({ code: first.code, message: first.error });
  throw new LongshoreError(
    kind,
    `image ${JSON.stringify(name)}: ${failed.length} of ${nodes.length} nodes failed, ${first.node}: ${first.error}`,
  );
}

/** The fleet asks nobody on the way: what it may need goes along. */
async function passwordOf({ registry, reference, signal }: ClientPull) {
  const { host, locator } = reference;
  const found = await registry.credentials?.({ host, reference: locator, wwwAuthenticate: [] }, signal);
  if (!found) return {};
  if (found.kind === 'password') return { username: found.username, password: found.password };
  throw unimplemented('pull by a fleet with a refresh token');
}
