import { invalidArgument } from '@longshore/errors';
import { type Digest, isDigest } from '@longshore/oci';
import { parseObject } from './parse-manifest.ts';

/** Digests of an image's uncompressed layers, lowest first. Throws InvalidArgument for a config that has none. */
export function diffIdsOf(config: Digest, bytes: Buffer): Digest[] {
  const subject = `image config ${config}`;
  const { rootfs } = parseObject(bytes, subject) as { rootfs?: { diff_ids?: unknown } | null };
  const diffIds = rootfs?.diff_ids ?? [];
  if (!Array.isArray(diffIds) || !diffIds.every((id) => typeof id === 'string' && isDigest(id))) {
    throw invalidArgument(`${subject} has no sound list of layers`);
  }
  return diffIds;
}
