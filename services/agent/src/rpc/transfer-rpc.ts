import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { invalidArgument, unimplemented } from '@longshore/errors';
import type { Call, Handlers } from '@longshore/kit';
import { hostPlatform, normalizePlatform, type Platform, parseReference } from '@longshore/oci';
import type { Transfer } from '@longshore/proto/containerd/services/transfer/v1/transfer';
import type { Platform as PlatformMessage } from '@longshore/proto/containerd/types/platform';
import { type ImageStore, ImageStoreSchema } from '@longshore/proto/containerd/types/transfer/imagestore';
import { type OCIRegistry, OCIRegistrySchema } from '@longshore/proto/containerd/types/transfer/registry';
import type { RegistryAccess } from '@longshore/registry';
import type { ToControlPlane } from '../socket/control-plane.ts';
import { credentialsFrom } from '../transfer/auth-stream.ts';
import type { NodeImages, PullToNode, UnpackTarget } from '../transfer/node-images.ts';
import { type StreamTable, typeNameOf } from '../transfer/stream-table.ts';
import { TransferProgress } from '../transfer/transfer-progress.ts';

const DEFAULT_SNAPSHOTTER = 'overlayfs';

export interface TransferRpcOptions {
  images: NodeImages;
  streams: StreamTable;
  toControlPlane: ToControlPlane;
}

/**
 * `containerd.services.transfer.v1.Transfer` of the node socket: pulls; other pairs answer Unimplemented.
 * Source: containerd plugins/services/transfer/service.go, core/transfer/local/pull.go.
 */
export function transferRpc({
  images,
  streams,
  toControlPlane,
}: TransferRpcOptions): Handlers<typeof Transfer> {
  return {
    async transfer({ source, destination, options }, call) {
      if (!source || !destination) throw invalidArgument('source and destination must be set');
      const registry = decode(OCIRegistrySchema, source);
      const store = decode(ImageStoreSchema, destination);
      if (!registry || !store) {
        const [from, to] = [source, destination].map(({ typeUrl }) => typeNameOf(typeUrl));
        throw unimplemented(`transfer from ${from} to ${to}`);
      }
      const stream = options?.progressStream
        ? streams.get(call.namespace, options.progressStream)
        : undefined;
      const wanted = { ...pullOf(registry, store), access: accessOf(registry, call, streams) };
      for (const { snapshotter } of wanted.unpacks) images.check(snapshotter);
      const progress = new TransferProgress(stream, wanted.name);
      try {
        const from = `OCI Registry (${registry.reference})`;
        progress.event(`Resolving from ${from}`);
        progress.event(`Pulling from ${from}`);
        const { namespace, signal } = call;
        await images.pull({ ...wanted, progress }, { namespace, options: toControlPlane(call), signal });
        progress.event(`Completed pull from ${from}`);
      } finally {
        await progress.close();
      }
      return {};
    },
  };
}

function decode<D extends DescMessage>(schema: D, any: Any): MessageShape<D> | undefined {
  if (typeNameOf(any.typeUrl) !== schema.typeName) return undefined;
  return fromBinary(schema, any.value);
}

function pullOf({ reference }: OCIRegistry, store: ImageStore): Omit<PullToNode, 'access' | 'progress'> {
  refuseUnknown(store);
  return {
    reference: parseReference(reference),
    name: store.name || reference,
    labels: store.labels,
    platforms: store.platforms.map(platformOf),
    unpacks: store.unpacks.map(
      ({ platform, snapshotter }): UnpackTarget => ({
        platform: platform ? platformOf(platform) : hostPlatform(),
        snapshotter: snapshotter || DEFAULT_SNAPSHOTTER,
      }),
    ),
  };
}

/** Doing less than was asked for without a word would be worse than refusing. */
function refuseUnknown({ allMetadata, manifestLimit, platforms, extraReferences }: ImageStore): void {
  if (allMetadata) throw unimplemented('pull with the metadata of all platforms');
  if (manifestLimit > 0 && platforms.length === 0) throw unimplemented('pull with a limit of manifests');
  if (extraReferences.length > 0) throw unimplemented('pull with further references');
}

function platformOf({ os, architecture, variant }: PlatformMessage): Platform {
  return normalizePlatform({ os, architecture, ...(variant !== '' && { variant }) });
}

function accessOf({ resolver }: OCIRegistry, call: Call, streams: StreamTable): RegistryAccess {
  if (!resolver) return {};
  if (resolver.hostDir !== '') throw unimplemented('registry configuration in a directory of hosts');
  const { authStream, headers, defaultScheme } = resolver;
  return {
    headers,
    plainHttp: defaultScheme === 'http',
    ...(authStream !== '' && { credentials: credentialsFrom(streams.get(call.namespace, authStream)) }),
  };
}
