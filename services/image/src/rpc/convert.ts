import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Timestamp, timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';
import type {
  Image as ImageMessage,
  ImageSchema,
} from '@longshore/proto/containerd/services/images/v1/images';
import type { Image, ImageSpec } from '../domain/image.ts';

/** What a request says; its times are of no interest. */
export function imageFromProto(message: ImageMessage | undefined): ImageSpec {
  if (!message?.name) throw invalidArgument('Image.Name required');
  const { name, labels, target } = message;
  return {
    name,
    labels,
    target: {
      mediaType: target?.mediaType ?? '',
      digest: target?.digest ?? '',
      sizeBytes: target?.size ?? 0n,
      annotations: target?.annotations ?? {},
    },
  };
}

export function imageToProto({
  name,
  labels,
  target,
  createdAt,
  updatedAt,
}: Image): MessageInitShape<typeof ImageSchema> {
  const { mediaType, digest, sizeBytes, annotations } = target;
  return {
    name,
    labels,
    target: { mediaType, digest, size: sizeBytes, annotations },
    createdAt: timestampFromDate(createdAt),
    updatedAt: timestampFromDate(updatedAt),
  };
}

/** The time that a reproducible build wants recorded instead of now. */
export function epochFromProto(epoch: Timestamp | undefined): Date | undefined {
  const date = epoch && timestampDate(epoch);
  if (date && Number.isNaN(date.getTime())) throw invalidArgument('source_date_epoch is out of range');
  return date;
}
