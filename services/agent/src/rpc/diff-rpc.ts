import { invalidArgument, isKind, kindOf, LongshoreError, messageOf } from '@longshore/errors';
import type { Handlers } from '@longshore/kit';
import { type Digest, MediaType, parseDigest } from '@longshore/oci';
import type { Diff } from '@longshore/proto/containerd/services/diff/v1/diff';
import type { CallOptions } from '@longshore/rpc';
import type { BlobSource, OpenedBlob } from '../content/blob-source.ts';
import { type LayerApplier, SUSPECT_KINDS } from '../diff/apply.ts';
import type { ToControlPlane } from '../socket/control-plane.ts';
import { mountFromProto } from './convert-mount.ts';

export interface DiffRpcOptions {
  blobs: BlobSource;
  applier: LayerApplier;
  toControlPlane: ToControlPlane;
}

/**
 * `containerd.services.diff.v1.Diff` of the node socket; the call Diff is left out.
 * Source: containerd core/diff/apply/apply.go.
 */
export function diffRpc({ blobs, applier, toControlPlane }: DiffRpcOptions): Handlers<typeof Diff> {
  async function open(digest: Digest, options: CallOptions): Promise<OpenedBlob> {
    try {
      return await blobs.open(await blobs.locate(digest, options), options);
    } catch (error) {
      const message = `failed to get reader from content store: ${messageOf(error)}`;
      throw new LongshoreError(kindOf(error), message, { cause: error });
    }
  }

  return {
    async apply({ diff, mounts, syncFs }, call) {
      if (!diff) throw invalidArgument('diff must be set');
      const digest = parseDigest(diff.digest);
      const options = toControlPlane(call);
      const opened = await open(digest, options);
      try {
        const applied = await applier.applyLayer({
          source: opened.source(),
          mediaType: diff.mediaType,
          mounts: mounts.map(mountFromProto),
          syncFs,
          signal: call.signal,
        });
        return {
          applied: { mediaType: MediaType.OciLayer, digest: applied.digest, size: BigInt(applied.sizeBytes) },
        };
      } catch (error) {
        if (isKind(error, ...SUSPECT_KINDS)) await blobs.doubt(digest, options);
        throw error;
      } finally {
        opened.close();
      }
    },
  };
}
