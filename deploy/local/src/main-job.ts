import { messageOf } from '@longshore/errors';
import type { Ctr } from './ctr.ts';
import type { JobImage } from './job-image.ts';

const NAMESPACE = 'default';

/** Runs in any image that has a shell. */
const DEFAULT_COMMAND = [
  '/bin/sh',
  '-c',
  'echo "Hello from a container: $(uname -sr), user $(id -un), process $$"; echo "Its root holds:" /*',
];

export interface JobOptions {
  image: JobImage;
  /** Serves an image in the place of a public one that cannot be had. */
  serveOwnImage: () => Promise<JobImage>;
  /** undefined: for the user's image its own command, for ours {@link DEFAULT_COMMAND}. */
  command: string[] | undefined;
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
  const image = await pullOrReplace(ctr, options);
  const { say } = options;
  const id = `hello-${Date.now().toString(36)}`;
  const command = options.command ?? (image.origin === 'user' ? [] : DEFAULT_COMMAND);
  say(`running ${id}${command.length === 0 ? '' : `: ${command.join(' ')}`}`);
  // Not bound to the signal: ctr tidies up after the container once that has been ended.
  const running = ctr.run(['-n', NAMESPACE, 'run', '--rm', image.ref, id, ...command], {
    onLine: (line) => say(`container | ${line}`),
    withErrors: true,
  });
  return { image, exitCode: running.then(({ code }) => code) };
}

async function pullOrReplace(ctr: Ctr, options: JobOptions): Promise<JobImage> {
  const { image, serveOwnImage, say, signal } = options;
  try {
    return await pull(ctr, image, options);
  } catch (error) {
    signal.throwIfAborted();
    if (image.origin !== 'public') throw error;
    say(`${messageOf(error)}; going on with an image made here`);
    return await pull(ctr, await serveOwnImage(), options);
  }
}

async function pull(ctr: Ctr, image: JobImage, { say, signal }: JobOptions): Promise<JobImage> {
  say(`pulling ${image.ref}`);
  const startMs = performance.now();
  const args = ['-n', NAMESPACE, 'image', 'pull', ...(image.plainHttp ? ['--plain-http'] : []), image.ref];
  await ctr.must(args, { signal });
  say(`pulled in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  return image;
}
