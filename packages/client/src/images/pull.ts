import { invalidArgument, isKind, unimplemented } from '@longshore/errors';
import { formatReference, type Platform, parsePlatform, parseReference } from '@longshore/oci';
import { expandShortName } from '@longshore/registry';
import { DEFAULT_SNAPSHOTTER } from '../snapshots/snapshotter.ts';
import type { ImageParts } from './image-parts.ts';
import { ProgressTracker } from './progress.ts';
import { type ClientPull, pullByClient } from './pull-by-client.ts';
import { pullByFleet } from './pull-by-fleet.ts';
import { pullByServer } from './pull-by-server.ts';
import type { PullOptions } from './pull-options.ts';

/**
 * Brings an image to the server and records it; answers the record's name, and the platform if there is one. Names may be short: `redis` is
 * `docker.io/library/redis:latest`. Throws NotFound, Unauthenticated, PermissionDenied, Unavailable in the registry's words;
 * the signal's reason when it aborts.
 */
export async function pull(
  parts: ImageParts,
  text: string,
  options: PullOptions = {},
): Promise<{ name: string; platform: Platform | undefined }> {
  const { signal = new AbortController().signal, unpack = false } = options;
  signal.throwIfAborted();
  const reference = parseReference(expandShortName(text));
  const name = options.name ?? formatReference(reference);
  using tracker = new ProgressTracker(name, options.onProgress);
  const request: ClientPull = {
    reference,
    name,
    labels: options.labels ?? {},
    registry: {
      credentials: options.credentials,
      hosts: options.hosts,
      hostsDirectory: options.hostsDirectory,
    },
    platforms: await platformsOf(parts, options),
    snapshotter: unpack ? (options.snapshotter ?? DEFAULT_SNAPSHOTTER) : undefined,
    tracker,
    signal,
  };
  try {
    await pullBy(parts, request, options);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
  tracker.phase('done');
  return { name, platform: options.platform === undefined ? undefined : request.platforms[0] };
}

async function pullBy(parts: ImageParts, request: ClientPull, options: PullOptions): Promise<void> {
  const { nodes = [], selector = '', by = 'auto' } = options;
  const { isLocal, node } = parts.services;
  const isForFleet = nodes.length > 0 || selector !== '' || (!isLocal && node === undefined);
  if (by === 'fleet' || (by === 'auto' && isForFleet)) {
    if (options.allPlatforms) throw unimplemented('pull of all platforms by a fleet');
    // Each node takes what it runs, if nothing else is asked for.
    const platforms = options.platform === undefined ? [] : request.platforms;
    return pullByFleet(parts, { ...request, platforms, nodes, selector });
  }
  if (nodes.length > 0 || selector !== '')
    throw invalidArgument(`nodes are a fleet's, and not chosen by the ${by}`);
  if (by === 'server') return pullByServer(parts, request);
  if (by === 'client') return pullByClient(parts, request);
  try {
    await pullByServer(parts, request);
  } catch (error) {
    if (!isKind(error, 'Unimplemented')) throw error;
    await pullByClient(parts, request);
  }
}

async function platformsOf(parts: ImageParts, options: PullOptions): Promise<Platform[]> {
  const { platform, allPlatforms = false } = options;
  if (allPlatforms && platform !== undefined) throw invalidArgument('one platform and all platforms at once');
  if (allPlatforms) return [];
  if (platform === undefined) return [await parts.platform()];
  return [typeof platform === 'string' ? parsePlatform(platform) : platform];
}
