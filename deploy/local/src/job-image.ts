import { join } from 'node:path';
import { makeBusyboxImage } from './busybox-image.ts';
import { pushImage } from './push-image.ts';
import { canReachPublicRegistry } from './reachability.ts';
import { startRegistry } from './registry.ts';

const PUBLIC_IMAGE = 'docker.io/library/alpine:latest';

export interface JobImage {
  ref: string;
  plainHttp: boolean;
  /** Whose choice it was: a public one that cannot be had is replaced by our own. */
  origin: 'user' | 'public' | 'own';
}

export interface JobImageOptions {
  /** What the user asked for; undefined for one of ours. */
  image: string | undefined;
  plainHttp: boolean;
  /** For the blobs of a registry of our own, should there be need of one. */
  registryDir: string;
  logDir: string;
  /** Gets that registry to close. */
  resources: AsyncDisposableStack;
  say: (line: string) => void;
}

/** Needs nothing that runs, so that it can be done while the rest starts. Knows within 3 s whether there is internet. */
export async function chooseImage(options: JobImageOptions): Promise<JobImage> {
  const { image, plainHttp, say } = options;
  if (image !== undefined) return { ref: image, plainHttp, origin: 'user' };
  if (await canReachPublicRegistry()) return { ref: PUBLIC_IMAGE, plainHttp: false, origin: 'public' };
  say('the public registry is out of reach: going on with an image made here');
  return await serveOwnImage(options);
}

/** Starts a registry on loopback and puts an image into it that was made here. */
export async function serveOwnImage(options: JobImageOptions): Promise<JobImage> {
  const { registryDir, logDir, resources, say } = options;
  const registry = resources.use(await startRegistry(registryDir, { logPath: join(logDir, 'registry.log') }));
  const ref = await pushImage(registry.host, 'busybox', 'latest', await makeBusyboxImage());
  say(`a private registry on ${registry.host} serves busybox:latest, made of Debian's busybox-static`);
  return { ref, plainHttp: true, origin: 'own' };
}
