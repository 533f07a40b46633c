import type { ImageConfig, Platform } from '@longshore/oci';
import type { CallOptions } from '@longshore/rpc';

/** What a container takes from an image. */
export interface ContainerImage {
  readonly name: string;
  /** Of a platform; default: the server's, or the one that the image stands for. */
  config(platform?: Platform, options?: CallOptions): Promise<ImageConfig>;
}
