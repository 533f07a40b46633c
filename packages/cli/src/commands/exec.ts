import { randomBytes } from 'node:crypto';
import { type Container, nullIo, type Process, streams } from '@longshore/client';
import {
  applySpecOptions,
  mergeEnv,
  type ProcessSpec,
  withAllKnownCapabilities,
  withTty,
  withTtySize,
} from '@longshore/oci/runtime-spec';
import { collect, type Define, examples } from '../command.ts';
import { runningContainer } from '../resources/running-container.ts';
import { environmentOf } from '../run-options/environment.ts';
import type { Session } from '../session.ts';
import { stayWith } from '../terminal/foreground.ts';
import { outputsOf } from '../terminal/outputs.ts';
import { sizeOf } from '../terminal/raw-terminal.ts';
import { startFailure } from '../terminal/start-failure.ts';
import { openInput } from '../terminal/typed-input.ts';

interface Options {
  interactive?: boolean;
  tty?: boolean;
  detach?: boolean;
  env?: string[];
  envFile?: string[];
  workdir?: string;
  user?: string;
  privileged?: boolean;
  detachKeys: string;
}

const ID_BYTES = 8;

export const define: Define = (command, session) => {
  command
    .argument('<container>', 'id, or beginning of an id')
    .argument('<command...>', 'what to run; all that follows is its')
    .passThroughOptions()
    .option('-i, --interactive', 'give it this standard input')
    .option('-t, --tty', 'give it a terminal')
    .option('-d, --detach', 'let it run')
    .option(
      '-e, --env <name=value>',
      "a variable of its environment; the name alone takes this command's own",
      collect,
    )
    .option('--env-file <file>', 'read variables from a file', collect)
    .option('-w, --workdir <path>', 'its working directory')
    .option('-u, --user <user[:group]>', 'whom it runs as: names or ids')
    .option('--privileged', 'all capabilities')
    .option('--detach-keys <keys>', 'let go of it by these keys, which ends it', 'ctrl-p,ctrl-q')
    .action(
      session.action((name: string, args: string[], options: Options) => exec(session, name, args, options)),
    );
  examples(
    command,
    ['A shell', 'longshore exec -it web sh'],
    ['A command whose exit code this one ends with', 'longshore exec web test -s /var/run/app.pid'],
    ['As another user, in another directory', 'longshore exec -u postgres -w /var/lib/postgresql db psql'],
  );
};

async function exec(session: Session, name: string, args: string[], options: Options): Promise<void> {
  const { host } = session;
  const container = await runningContainer(await session.client(), name);
  const task = await container.task();
  const id = randomBytes(ID_BYTES).toString('hex');
  const spec = await processOf(container, args, options, session);
  if (options.detach) {
    const process = await task.exec(id, spec, nullIo(), { user: options.user });
    await started(process);
    session.line(id);
    return;
  }
  const { interactive = false, tty = false, detachKeys } = options;
  using input = openInput(host, { interactive, terminal: tty, detachKeys });
  const io = streams({ stdin: input.stream, ...outputsOf(host), terminal: tty });
  const process = await task.exec(id, spec, io, { user: options.user });
  const status = await stayWith(process, {
    host,
    terminal: tty,
    forwardsSignals: !tty,
    detached: input.detached,
    start: () => started(process),
  });
  if (status) session.exitCode = status.code;
  await process.delete({ kill: status === undefined });
}

/** What runs in the container, with what this command adds and takes the place of. */
async function processOf(
  container: Container,
  args: string[],
  { tty, env = [], envFile = [], workdir, privileged }: Options,
  { host }: Session,
): Promise<ProcessSpec> {
  const own = await container.processSpec(args);
  const process = {
    ...own,
    env: mergeEnv(own.env ?? [], environmentOf(env, envFile, host.env)),
    ...(workdir && { cwd: workdir }),
  };
  const size = tty ? sizeOf(host) : undefined;
  const spec = applySpecOptions(
    { ociVersion: '', process },
    ...(tty ? [withTty] : []),
    ...(size ? [withTtySize(size.columns, size.rows)] : []),
    ...(privileged ? [withAllKnownCapabilities] : []),
  );
  return spec.process ?? process;
}

async function started(process: Process): Promise<void> {
  try {
    await process.start();
  } catch (error) {
    await process.delete().catch(() => undefined);
    throw startFailure(error);
  }
}
