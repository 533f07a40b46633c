import { isKind } from '@longshore/errors';
import { hostPlatform, normalizePlatform, type Platform } from '@longshore/oci';
import { Introspection } from '@longshore/proto/containerd/services/introspection/v1/introspection';
import type { Services } from '../services.ts';

/** What the server runs: this machine's platform if it is here, else that of the node's snapshotters. */
export async function serverPlatform(services: Services): Promise<Platform> {
  if (services.isLocal) return hostPlatform();
  try {
    const filters = ['type==io.containerd.snapshotter.v1'];
    const { plugins } = await services.service(Introspection).plugins({ filters });
    const [first] = plugins.flatMap(({ platforms }) => platforms);
    if (first) return normalizePlatform(first);
  } catch (error) {
    // A fleet's own scope has no node, and so no platform.
    if (!isKind(error, 'InvalidArgument', 'Unimplemented')) throw error;
  }
  return { ...hostPlatform(), os: 'linux' };
}
