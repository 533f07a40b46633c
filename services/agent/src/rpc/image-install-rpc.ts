import { invalidArgument } from '@longshore/errors';
import type { Handlers } from '@longshore/kit';
import { type Descriptor, hostPlatform, parseDigest, parsePlatform } from '@longshore/oci';
import {
  type ImageService,
  type InstallRequest,
  InstallResponse_Phase as Phase,
} from '@longshore/proto/longshore/node/v1/images';
import { ProgressFeed } from '@longshore/transfer';
import type { ToControlPlane } from '../socket/control-plane.ts';
import type { InstallOnNode, NodeImages } from '../transfer/node-images.ts';

const DEFAULT_SNAPSHOTTER = 'overlayfs';

type LayerLine = { digest: string; offset: bigint; total: bigint; status: string };

/** `longshore.node.v1.ImageService`: for the control plane, through the agent's TCP door. */
export function imageInstallRpc(
  images: NodeImages,
  toControlPlane: ToControlPlane,
): Handlers<typeof ImageService> {
  return {
    async *install(request, call) {
      const wanted = installOf(request);
      images.check(wanted.snapshotter);
      const layers = new Map<string, LayerLine>();
      let phase: Phase = Phase.LINKING;
      const feed = new ProgressFeed(() => ({ phase, layers: [...layers.values()] }));
      const { namespace, signal } = call;
      const set = (layer: Descriptor, status: string, offset: number) => {
        layers.set(layer.digest, {
          digest: layer.digest,
          offset: BigInt(offset),
          total: BigInt(layer.size),
          status,
        });
        feed.changed();
      };
      const work = images.install(
        {
          ...wanted,
          onLinked: (linked) => {
            phase = Phase.UNPACKING;
            for (const layer of linked) set(layer, 'waiting', 0);
          },
          onLayer: (layer, status) =>
            status === 'extracted' ? set(layer, 'done', layer.size) : set(layer, 'unpacking', 0),
        },
        { namespace, options: toControlPlane(call), signal },
      );
      yield* feed.until(work);
      yield { phase: Phase.DONE, layers: [...layers.values()] };
    },
  };
}

function installOf({
  name,
  target,
  platform,
  snapshotter,
  registry,
}: InstallRequest): Omit<InstallOnNode, 'onLinked' | 'onLayer'> {
  if (!name || !target) throw invalidArgument('name and target must be set');
  const { mediaType, size } = target;
  return {
    name,
    target: { mediaType, digest: parseDigest(target.digest), size: Number(size) },
    platform: platform === '' ? hostPlatform() : parsePlatform(platform),
    snapshotter: snapshotter || DEFAULT_SNAPSHOTTER,
    registry,
  };
}
