import { randomUUID } from 'node:crypto';
import { toBinary } from '@bufbuild/protobuf';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';
import { invalidArgument, isKind, kindOf, LongshoreError, messageOf } from '@longshore/errors';
import type { Handlers } from '@longshore/kit';
import { type Digest, type Labels, MediaType, parseDigest } from '@longshore/oci';
import type { Content } from '@longshore/proto/containerd/services/content/v1/content';
import type { Diff } from '@longshore/proto/containerd/services/diff/v1/diff';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import type { BlobSource, OpenedBlob } from '../content/blob-source.ts';
import { storeNewBlob } from '../content/store-new-blob.ts';
import { type LayerApplier, SUSPECT_KINDS } from '../diff/apply.ts';
import type { ComparedLayer, LayerComparer, LayerInTheMaking } from '../diff/compare/layer-comparer.ts';
import type { ToControlPlane } from '../socket/control-plane.ts';
import { mountFromProto } from './convert-mount.ts';

export interface DiffRpcOptions {
  blobs: BlobSource;
  content: ServiceClient<typeof Content>;
  applier: LayerApplier;
  comparer: LayerComparer;
  /** Of calls whose trailers are heard: Diff makes content. */
  toControlPlane: ToControlPlane;
}

const UNCOMPRESSED = 'containerd.io/uncompressed';
const ABORT_TIMEOUT_MS = 5_000;

/**
 * `containerd.services.diff.v1.Diff` of the node socket.
 * Source: containerd core/diff/apply/apply.go, plugins/diff/walking/differ.go.
 */
export function diffRpc(parts: DiffRpcOptions): Handlers<typeof Diff> {
  const { blobs, content, applier, comparer, toControlPlane } = parts;

  async function open(digest: Digest, options: CallOptions): Promise<OpenedBlob> {
    try {
      return await blobs.open(await blobs.locate(digest, options), options);
    } catch (error) {
      const message = `failed to get reader from content store: ${messageOf(error)}`;
      throw new LongshoreError(kindOf(error), message, { cause: error });
    }
  }

  /** Of an ingest that nobody else knows the name of, nothing is left when it fails. */
  async function store(
    { chunks, layer }: LayerInTheMaking,
    wanted: { ref: string; labels: Labels; isCompressed: boolean },
    options: CallOptions,
  ): Promise<ComparedLayer> {
    const ref = wanted.ref || `diff-${randomUUID()}`;
    const described = async () => {
      const { digest, diffId } = await layer;
      const labels = wanted.isCompressed ? { ...wanted.labels, [UNCOMPRESSED]: diffId } : wanted.labels;
      return { digest, labels };
    };
    try {
      await storeNewBlob(content, { ref, chunks, described }, options);
    } catch (error) {
      if (wanted.ref === '') await abandon(ref, options);
      throw error;
    }
    const stored = await layer;
    if (wanted.isCompressed) await label(stored, options);
    return stored;
  }

  /** A blob that was there before may not say what is in it. */
  async function label({ digest, diffId }: ComparedLayer, options: CallOptions): Promise<void> {
    const { info } = await content.info({ digest }, options);
    if (info?.labels[UNCOMPRESSED] !== undefined) return;
    const updateMask = { paths: [`labels.${UNCOMPRESSED}`] };
    await content.update({ info: { digest, labels: { [UNCOMPRESSED]: diffId } }, updateMask }, options);
  }

  async function abandon(ref: string, { headers }: CallOptions): Promise<void> {
    const deadline = new Date(Date.now() + ABORT_TIMEOUT_MS);
    await content.abort({ ref }, { headers, deadline }).catch(() => undefined);
  }

  return {
    async apply({ diff, mounts, payloads, syncFs }, call) {
      if (!diff) throw invalidArgument('diff must be set');
      const digest = parseDigest(diff.digest);
      const options = toControlPlane(call);
      const opened = await open(digest, options);
      try {
        const applied = await applier.applyLayer({
          source: opened.source(),
          mediaType: diff.mediaType,
          mounts: mounts.map(mountFromProto),
          payloads: parametersOf(payloads),
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

    async diff({ left, right, mediaType, ref, labels, sourceDateEpoch }, call) {
      const options = toControlPlane(call);
      const request = {
        lower: left.map(mountFromProto),
        upper: right.map(mountFromProto),
        mediaType,
        sourceDateEpochSeconds: sourceDateEpoch && Number(sourceDateEpoch.seconds),
        signal: call.signal,
      };
      return comparer.compare(request, async (making, made) => {
        const isCompressed = made !== MediaType.OciLayer;
        const { digest, sizeBytes } = await store(making, { ref, labels, isCompressed }, options);
        return { diff: { mediaType: made, digest, size: BigInt(sizeBytes) } };
      });
    },
  };
}

/** Programs get the whole message, as containerd passes it. */
function parametersOf(payloads: Readonly<Record<string, Any>>): Record<string, Uint8Array> {
  return Object.fromEntries(
    Object.entries(payloads).map(([id, payload]) => [id, toBinary(AnySchema, payload)]),
  );
}
