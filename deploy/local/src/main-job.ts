import { join } from 'node:path';
import { messageOf } from '@longshore/errors';
import { makeBusyboxImage } from './busybox-image.ts';
import type { Ctr } from './ctr.ts';
import { pushImage } from './push-image.ts';
import { startRegistry } from './registry.ts';

const PUBLIC_IMAGE = 'docker.io/library/alpine:latest';
const NAMESPACE = 'default';

/** Runs in any image that has a shell. */
const DEFAULT_COMMAND = [
  '/bin/sh',
  '-c',
  'echo "Hello from a container: $(uname -sr), user $(id -un), process $$"; echo "Its root holds:" /*',
];

export interface JobImage {
  ref: string;
  plainHttp: boolean;
}

export interface JobOptions {
  /** What the user asked for; undefined for one of ours. */
  image: string | undefined;
  plainHttp: boolean;
  /** undefined: for the user's image its own command, for ours {@link DEFAULT_COMMAND}. */
  command: string[] | undefined;
  /** Whether the public registry can be reached. */
  isOnline: Promise<boolean>;
  /** For the blobs of a registry of our own, should there be need of one. */
  registryDir: string;
  logDir: string;
  /** Gets that registry to close. */
  resources: AsyncDisposableStack;
  say: (line: string) => void;
  signal: AbortSignal;
}

export interface Job {
  image: JobImage;
  /** Of the container, or of ctr if there was none to run. */
  exitCode: Promise<number>;
}

/**
 * The first thing that longshore is for: pulls an image from a real registry and runs it. Resolves once the container
 * has been asked for. Throws Unknown, with what ctr said, when the image cannot be pulled.
 */
export async function startJob(ctr: Ctr, options: JobOptions): Promise<Job> {
  const image = await pullOne(ctr, options);
  const { say } = options;
  const id = `hello-${Date.now().toString(36)}`;
  const command = options.command ?? (options.image === undefined ? DEFAULT_COMMAND : []);
  say(`running ${id}${command.length === 0 ? '' : `: ${command.join(' ')}`}`);
  // Not bound to the signal: ctr tidies up after the container once that has been ended.
  const running = ctr.run(['-n', NAMESPACE, 'run', '--rm', image.ref, id, ...command], {
    onLine: (line) => say(`container | ${line}`),
    withErrors: true,
  });
  return { image, exitCode: running.then(({ code }) => code) };
}

async function pullOne(ctr: Ctr, options: JobOptions): Promise<JobImage> {
  const { image, plainHttp, isOnline, say } = options;
  if (image !== undefined) return pull(ctr, { ref: image, plainHttp }, options);
  if (await isOnline) {
    try {
      return await pull(ctr, { ref: PUBLIC_IMAGE, plainHttp: false }, options);
    } catch (error) {
      options.signal.throwIfAborted();
      say(`${messageOf(error)}; going on with an image made here`);
    }
  } else {
    say('the public registry is out of reach: going on with an image made here');
  }
  return pull(ctr, await serveOwnImage(options), options);
}

async function serveOwnImage(options: JobOptions): Promise<JobImage> {
  const { registryDir, logDir, resources, say } = options;
  const registry = resources.use(await startRegistry(registryDir, { logPath: join(logDir, 'registry.log') }));
  const ref = await pushImage(registry.host, 'busybox', 'latest', await makeBusyboxImage());
  say(`a private registry on ${registry.host} serves busybox:latest, made of Debian's busybox-static`);
  return { ref, plainHttp: true };
}

async function pull(ctr: Ctr, image: JobImage, { say, signal }: JobOptions): Promise<JobImage> {
  say(`pulling ${image.ref}`);
  const startMs = performance.now();
  const args = ['-n', NAMESPACE, 'image', 'pull', ...(image.plainHttp ? ['--plain-http'] : []), image.ref];
  await ctr.must(args, { signal });
  say(`pulled in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  return image;
}
