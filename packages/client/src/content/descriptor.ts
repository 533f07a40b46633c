import { type Descriptor, parseDigest } from '@longshore/oci';
import type { Descriptor as DescriptorMessage } from '@longshore/proto/containerd/types/descriptor';

export function descriptorFromProto({ mediaType, digest, size, annotations }: DescriptorMessage): Descriptor {
  return {
    mediaType,
    digest: parseDigest(digest),
    size: Number(size),
    ...(Object.keys(annotations).length > 0 && { annotations }),
  };
}

export function descriptorToProto({ mediaType, digest, size, annotations = {} }: Descriptor) {
  return { mediaType, digest, size: BigInt(size), annotations };
}
