import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';
import type {
  Image as ImageMessage,
  ImageSchema,
} from '@longshore/proto/containerd/services/images/v1/images';
import type { Descriptor } from '@longshore/proto/containerd/types/descriptor';
import type { Image, ImageSpec, Target } from '../domain/image.ts';

/** What a request says; `target` may be missing, which some masks allow. */
export function imageFromProto(
  message: ImageMessage | undefined,
): Omit<ImageSpec, 'target'> & { target: Target | undefined } {
  if (!message) throw invalidArgument('image must be set');
  return { name: message.name, labels: message.labels, target: targetFromProto(message.target) };
}

export function imageToProto(image: Image): MessageInitShape<typeof ImageSchema> {
  return {
    name: image.name,
    labels: image.labels,
    target: image.target,
    createdAt: timestampFromDate(image.createdAt),
    updatedAt: timestampFromDate(image.updatedAt),
  };
}

function targetFromProto(descriptor: Descriptor | undefined): Target | undefined {
  if (!descriptor) return undefined;
  const { mediaType, digest, size, annotations } = descriptor;
  return { mediaType, digest, size, annotations };
}
