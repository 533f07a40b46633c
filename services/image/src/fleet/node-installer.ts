import { kindOf, LongshoreError, messageOf } from '@longshore/errors';
import { type Descriptor, formatPlatform, type Platform } from '@longshore/oci';
import { Header } from '@longshore/proto/headers';
import { ImageService, type InstallResponse } from '@longshore/proto/longshore/node/v1/images';
import { type CallOptions, Channel, type ChannelOptions, createClient } from '@longshore/rpc';
import type { TlsFiles } from '@longshore/transport';
import type { FleetNode } from './node-choice.ts';

export interface ImageToInstall {
  name: string;
  target: Descriptor;
  platform: Platform;
  snapshotter: string;
  registry: string;
}

/** Has one node take an image that the fleet holds. */
export type InstallOnNode = (
  node: FleetNode,
  image: ImageToInstall,
  options: CallOptions,
  onProgress: (progress: InstallResponse) => void,
) => Promise<void>;

/** Calls the agent of each node at its registered address, and no other who might answer there. */
export function installOnNodes(tls: TlsFiles, channelOptions: ChannelOptions = {}): InstallOnNode {
  return async (node, { target, platform, ...image }, options, onProgress) => {
    const channel = new Channel(node.address, tls, { ...channelOptions, expect: `node/${node.id}` });
    try {
      const request = {
        ...image,
        target: { mediaType: target.mediaType, digest: target.digest, size: BigInt(target.size) },
        platform: formatPlatform(platform),
      };
      const headers = { ...options.headers, [Header.Node]: node.id };
      const responses = createClient(ImageService, channel).install(request, { ...options, headers });
      for await (const response of responses) onProgress(response);
    } catch (error) {
      const subject = `node ${JSON.stringify(node.id)}: `;
      const message = messageOf(error);
      const named = message.startsWith(subject) ? message : subject + message;
      throw new LongshoreError(kindOf(error), named, { cause: error });
    } finally {
      channel.close();
    }
  };
}
