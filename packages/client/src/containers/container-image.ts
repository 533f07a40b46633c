import type { ImageConfig } from '@longshore/oci';
import type { CallOptions } from '@longshore/rpc';

/** What a container takes from an image. */
export interface ContainerImage {
  readonly name: string;
  /** Of the platform that the image stands for; else the server's. */
  config(options?: CallOptions): Promise<ImageConfig>;
}
