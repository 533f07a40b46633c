import type { MessageInitShape } from '@bufbuild/protobuf';
import { GrpcCode, invalidArgument, isKind, toGrpcStatus } from '@longshore/errors';
import type { Call, Handlers } from '@longshore/kit';
import { type Descriptor, formatReference, parsePlatform, parseReference } from '@longshore/oci';
import { FLEET } from '@longshore/proto/headers';
import {
  type FleetService,
  PullResponse_Phase as Phase,
  type PullRequest,
  type PullResponseSchema,
} from '@longshore/proto/longshore/image/v1/fleet';
import type { BlobProgressSchema, InstallResponse } from '@longshore/proto/longshore/node/v1/images';
import { expandShortName, type RegistryAccess } from '@longshore/registry';
import { type BlobProgress, ProgressFeed } from '@longshore/transfer';
import type { ImageSpec } from '../domain/image.ts';
import { imageEvents } from '../events.ts';
import {
  type FleetPullParts,
  type FleetPullRequest,
  fleetPull,
  type NodeOutcome,
} from '../fleet/fleet-pull.ts';
import type { ImageRepository } from '../storage/postgres/image-repository.ts';

const DEFAULT_SNAPSHOTTER = 'overlayfs';
const DEFAULT_CONCURRENT = 10;

/** `longshore.image.v1.FleetService`. */
export function fleetRpc(parts: FleetPullParts, images: ImageRepository): Handlers<typeof FleetService> {
  return {
    async *pull(request, call) {
      const wanted = requestFromProto(request);
      const picture = new PullPicture();
      const feed = new ProgressFeed(() => picture.toProto());
      const change =
        <A extends unknown[]>(note: (...args: A) => void) =>
        (...args: A) => {
          note.apply(picture, args);
          feed.changed();
        };
      const listener = {
        onNodes: change(picture.onNodes),
        onResolved: change(picture.onResolved),
        onBlob: change(picture.onBlob),
        onNode: change(picture.onNode),
      };
      const { headers } = call.forward();
      const record = (target: Descriptor) =>
        recordImage(images, call, formatReference(wanted.reference), target);
      const pulling = fleetPull(parts, wanted, listener, { headers, signal: call.signal }, record);
      yield* feed.until(pulling);
      picture.phase = Phase.DONE;
      yield picture.toProto();
    },
  };
}

function requestFromProto(request: PullRequest): FleetPullRequest {
  const { reference, nodes, selector, platform, snapshotter, maxConcurrent, plainHttp } = request;
  if (maxConcurrent < 0) throw invalidArgument('max_concurrent must not be negative');
  return {
    reference: parseReference(expandShortName(reference)),
    nodes: [...new Set(nodes)],
    selector,
    platform: platform === '' ? undefined : parsePlatform(platform),
    snapshotter: snapshotter || DEFAULT_SNAPSHOTTER,
    maxConcurrent: maxConcurrent || DEFAULT_CONCURRENT,
    access: { plainHttp, ...credentialsOf(request) },
  };
}

function credentialsOf({ username, password }: PullRequest): Pick<RegistryAccess, 'credentials'> {
  if (username === '' && password === '') return {};
  return { credentials: async () => ({ kind: 'password', username, password }) };
}

/** In the fleet's own scope, whoever asked. */
async function recordImage(
  images: ImageRepository,
  call: Call,
  name: string,
  { mediaType, digest, size }: Descriptor,
): Promise<void> {
  const scope = { namespace: call.namespace, node: FLEET };
  const target = { mediaType, digest, sizeBytes: BigInt(size), annotations: {} };
  const spec: ImageSpec = { name, labels: {}, target };
  try {
    await images.create(scope, spec, undefined, imageEvents.created);
  } catch (error) {
    if (!isKind(error, 'AlreadyExists')) throw error;
    await images.update(scope, name, (stored) => ({ ...stored, target }), undefined, imageEvents.updated);
  }
}

/** A fleet pull as it is now. */
class PullPicture {
  phase: Phase = Phase.RESOLVING;
  #digest = '';
  readonly #blobs = new Map<string, MessageInitShape<typeof BlobProgressSchema>>();
  readonly #nodes = new Map<string, NodeOutcome>();

  onNodes(ids: readonly string[]): void {
    for (const id of ids) this.#nodes.set(id, { progress: undefined, isDone: false, error: undefined });
  }

  onResolved({ digest }: Descriptor): void {
    this.phase = Phase.FETCHING;
    this.#digest = digest;
  }

  onBlob({ descriptor: { digest, size }, status, offsetBytes }: BlobProgress): void {
    this.#blobs.set(digest, { digest, offset: BigInt(offsetBytes), total: BigInt(size), status });
  }

  onNode(id: string, outcome: NodeOutcome): void {
    if (!outcome.isDone) this.phase = Phase.INSTALLING;
    this.#nodes.set(id, outcome);
  }

  toProto(): MessageInitShape<typeof PullResponseSchema> {
    const nodes = [...this.#nodes].map(([node, outcome]) => ({ node, ...nodeToProto(outcome) }));
    return { phase: this.phase, digest: this.#digest, blobs: [...this.#blobs.values()], nodes };
  }
}

function nodeToProto({ progress, isDone, error }: NodeOutcome) {
  const status = error === undefined ? { code: GrpcCode.OK, message: '' } : toGrpcStatus(error);
  const told: { progress?: InstallResponse } = progress ? { progress } : {};
  return { ...told, done: isDone, error: status.message, code: status.code };
}
