import { failedPrecondition, isKind, outOfRange } from '@longshore/errors';
import {
  chainIds,
  type Descriptor,
  type Digest,
  type ImageConfig,
  type Platform,
  parseDigest,
} from '@longshore/oci';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import type { CallOptions } from '@longshore/rpc';
import { parseObject, readTree } from '@longshore/transfer';
import type { NodeConnection } from '../../nodes/node-connection.ts';

type Agent = Pick<NodeConnection, 'client'>;

/** As registries and containerd limit manifests and configs. */
const MAX_DOCUMENT_BYTES = 8 * 1024 ** 2;

/** What a container takes from an image that is on its node. */
export interface NodeImage {
  name: string;
  config: ImageConfig;
  /** The snapshot to begin from; empty for an image without layers. */
  parent: string;
}

/**
 * An image of a node's own records, ready to be run there. Undefined when the node does not have it, or has not unpacked it. Throws
 * NotFound for a platform that the image does not have.
 */
export async function nodeImage(
  agent: Agent,
  name: string,
  { platform, snapshotter }: { platform: Platform; snapshotter: string },
  call: CallOptions,
): Promise<NodeImage | undefined> {
  const record = await orUndefined(agent.client(Images).get({ name }, call));
  const target = record?.image?.target;
  if (!target) return undefined;
  const { mediaType, digest, size } = target;
  const root: Descriptor = { mediaType, digest: parseDigest(digest), size: Number(size) };
  const read = (descriptor: Descriptor) => readDocument(agent, descriptor, call);
  const bytes = await orUndefined(read(root));
  const tree = bytes && (await orUndefined(readTree(name, root, bytes, [platform], read)));
  const image = tree?.images[0];
  const document = image && (await orUndefined(read(image.manifest.config)));
  if (!document) return undefined;
  const config = parseObject(
    document,
    `image config ${image.manifest.config.digest}`,
  ) as unknown as ImageConfig;
  const parent = chainIds((config.rootfs?.diff_ids ?? []) as Digest[]).at(-1) ?? '';
  if (parent !== '') {
    const snapshot = await orUndefined(agent.client(Snapshots).stat({ snapshotter, key: parent }, call));
    if (!snapshot) return undefined;
  }
  return { name, config, parent };
}

async function readDocument(agent: Agent, { digest, size }: Descriptor, call: CallOptions): Promise<Buffer> {
  if (size > MAX_DOCUMENT_BYTES) throw failedPrecondition(`document ${digest}: has ${size} bytes`);
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const { data } of agent.client(Content).read({ digest }, call)) {
    parts.push(data);
    length += data.length;
    if (length > MAX_DOCUMENT_BYTES) throw outOfRange(`document ${digest}: is too long`);
  }
  return Buffer.concat(parts);
}

async function orUndefined<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (isKind(error, 'NotFound')) return undefined;
    throw error;
  }
}
