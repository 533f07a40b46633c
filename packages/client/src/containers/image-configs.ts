import type { ImageConfig } from '@longshore/oci';
import type { CallOptions } from '@longshore/rpc';
import type { ContainerImage } from './container-image.ts';

/** Reads configs of images, each image's once. */
export function imageConfigs(call: CallOptions): (image: ContainerImage) => Promise<ImageConfig> {
  const configs = new Map<ContainerImage, Promise<ImageConfig>>();
  return (image) => {
    const known = configs.get(image) ?? image.config(call);
    configs.set(image, known);
    return known;
  };
}
