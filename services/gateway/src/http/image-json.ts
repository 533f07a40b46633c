import type { Image } from '@longshore/proto/containerd/services/images/v1/images';
import type { Descriptor } from '@longshore/proto/containerd/types/descriptor';
import { timeToJson } from './time.ts';

export interface DescriptorJson {
  media_type: string;
  digest: string;
  size: number;
  annotations?: Record<string, string>;
}

export function imageToJson({ name, labels, target, createdAt, updatedAt }: Image) {
  return {
    name,
    labels,
    target: target && descriptorToJson(target),
    created_at: timeToJson(createdAt),
    updated_at: timeToJson(updatedAt),
  };
}

export function descriptorFromJson({
  media_type: mediaType,
  digest,
  size,
  annotations = {},
}: DescriptorJson) {
  return { mediaType, digest, size: BigInt(size), annotations };
}

function descriptorToJson({ mediaType, digest, size, annotations }: Descriptor): DescriptorJson {
  return { media_type: mediaType, digest, size: Number(size), annotations };
}
