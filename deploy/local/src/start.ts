import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '@longshore/errors';
import type { StartOptions } from '../bootstrap/start-options.mjs';
import { Ctr } from './ctr.ts';
import { endTasks } from './end-tasks.ts';
import { describeEvent, tailEvents } from './event-tail.ts';
import { type Instance, instanceAt, sweepInstance } from './instance.ts';
import { chooseImage, type JobImageOptions, serveOwnImage } from './job-image.ts';
import { type Job, startJob } from './main-job.ts';
import { takePidFile } from './pid-file.ts';
import { type Services, startServices } from './services.ts';
import { type Stores, startStores } from './stores.ts';
import { toolchain } from './toolchain.ts';
import { describeWhereabouts } from './whereabouts.ts';

/** A container that runs for longer is left to run while the rest is told. */
const JOB_PATIENCE_MS = 5000;
/** The last events of a container reach NATS, and its client ends, a moment after its end. */
const LAST_WORDS_MS = 500;

export interface StartContext {
  env: NodeJS.ProcessEnv;
  /** Aborts when everything is to end. */
  stop: AbortSignal;
  say: (line: string) => void;
}

/**
 * `npm start`: everything on this machine, one container, and then up until `stop` aborts, or with `once` until the
 * container has ended. Resolves, when all is gone again, with the exit code. Throws AlreadyExists when it runs already,
 * and what kept it from starting.
 */
export async function start(options: StartOptions, { env, stop, say }: StartContext): Promise<number> {
  const instance = instanceAt(options.root, options.state, env.LONGSHORE_SOCKET);
  await using resources = new AsyncDisposableStack();
  for (const dir of [instance.root, instance.state]) resources.use(takePidFile(join(dir, 'longshore.pid')));
  await sweepInstance(instance);
  resources.defer(() => sweepInstance(instance));
  const imageOptions: JobImageOptions = {
    image: options.image,
    plainHttp: options.plainHttp,
    registryDir: join(instance.root, 'registry'),
    logDir: instance.logDir,
    resources,
    say,
  };
  const choice = chooseImage(imageOptions);
  // Awaited below, after what may fail for other reasons.
  choice.catch(() => {});
  try {
    const { stores, services } = await boot(instance, { stop, say, resources });
    const ctr = new Ctr(await toolchain(), instance.socket);
    resources.use(await tailEvents(stores.nats, (event) => say(describeEvent(event))));
    let job: Job | undefined;
    resources.defer(async () => {
      await endTasks(ctr, say);
      await atMost(job?.exitCode, LAST_WORDS_MS);
    });
    job = await tryJob(
      async () => {
        const image = await choice;
        const { command } = options;
        return startJob(ctr, {
          image,
          serveOwnImage: () => serveOwnImage(imageOptions),
          command,
          say,
          signal: stop,
        });
      },
      stop,
      say,
    );
    if (options.once) return await finish(job, stop);
    await atMost(job?.exitCode, JOB_PATIENCE_MS);
    say(describeWhereabouts({ instance, services, ...stores, ctr, image: job?.image }));
    await aborted(stop);
    return 0;
  } catch (error) {
    if (!stop.aborted) throw error;
    return 0;
  } finally {
    if (stop.aborted) say('ending everything');
  }
}

interface BootContext {
  stop: AbortSignal;
  say: (line: string) => void;
  resources: AsyncDisposableStack;
}

async function boot(
  { root, state, socket, logDir }: Instance,
  { stop, say, resources }: BootContext,
): Promise<{ stores: Stores; services: Services }> {
  const startMs = performance.now();
  say('starting Postgres and NATS');
  const stores = resources.use(await startStores({ root, logDir, report: say }));
  stop.throwIfAborted();
  say('starting the services');
  const services = resources.use(
    await startServices({
      root,
      state,
      socket,
      databaseUrl: stores.postgres.url,
      nats: stores.nats,
      report: say,
      signal: stop,
    }),
  );
  say(`all services are ready after ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  return { stores, services };
}

/** A job that cannot be done is told of; the rest stays up to be looked at. */
async function tryJob(
  begin: () => Promise<Job>,
  stop: AbortSignal,
  say: (line: string) => void,
): Promise<Job | undefined> {
  try {
    return await begin();
  } catch (error) {
    if (stop.aborted) throw error;
    say(`failed: ${messageOf(error)}`);
    return undefined;
  }
}

async function finish(job: Job | undefined, stop: AbortSignal): Promise<number> {
  if (job === undefined) return 1;
  const exitCode = await Promise.race([job.exitCode, aborted(stop)]);
  await atMost(aborted(stop), LAST_WORDS_MS);
  return exitCode ?? 0;
}

async function atMost(work: Promise<unknown> | undefined, timeoutMs: number): Promise<void> {
  const timer = new AbortController();
  const timeout = sleep(timeoutMs, undefined, { signal: timer.signal }).catch(() => {});
  await Promise.race([work, timeout]);
  timer.abort();
}

/** The processes that we look after keep us alive meanwhile. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
