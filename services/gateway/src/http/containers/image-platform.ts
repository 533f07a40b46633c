import { invalidArgument } from '@longshore/errors';
import { type Platform, parsePlatform, platformOfNode } from '@longshore/oci';

export interface WantedPlatform {
  platform: Platform;
  /** Rather than the node's own, which need not be the one that its images say. */
  isWanted: boolean;
}

/** Which of an image's platforms a container is made of: the one that is wanted, else its node's. Throws InvalidArgument for what no node runs. */
export function imagePlatform(wanted: string | undefined, architectureOfNode: string): WantedPlatform {
  const own: Platform = { ...platformOfNode(architectureOfNode), os: 'linux' };
  if (wanted === undefined) return { platform: own, isWanted: false };
  const platform = parsePlatform(wanted.includes('/') ? wanted : `linux/${wanted}`);
  if (platform.os !== 'linux') throw invalidArgument(`platform ${JSON.stringify(wanted)}: nodes run linux`);
  return { platform, isWanted: true };
}
