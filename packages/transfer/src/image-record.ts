import { isKind } from '@longshore/errors';
import type { Descriptor, Labels } from '@longshore/oci';
import type { Images } from '@longshore/proto/containerd/services/images/v1/images';
import type { CallOptions, ServiceClient } from '@longshore/rpc';

/** Gives a name to an image, or makes the name mean this image from now on. */
export async function recordImage(
  images: ServiceClient<typeof Images>,
  name: string,
  { mediaType, digest, size, annotations = {} }: Descriptor,
  labels: Labels,
  options: CallOptions,
): Promise<void> {
  const image = { name, labels, target: { mediaType, digest, size: BigInt(size), annotations } };
  try {
    await images.create({ image }, options);
  } catch (error) {
    if (!isKind(error, 'AlreadyExists')) throw error;
    await images.update({ image }, options);
  }
}
