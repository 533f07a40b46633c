import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type Client, type Container, keptIo, streams, type Task } from '@longshore/client';
import { messageOf } from '@longshore/errors';
import { type Define, examples } from '../command.ts';
import { ExitCode } from '../exit-code.ts';
import { imageToRun } from '../resources/image-to-run.ts';
import { isOfNode } from '../resources/scope.ts';
import { ifThere } from '../resources/task-states.ts';
import { containerParts } from '../run-options/container-parts.ts';
import { addRunFlags, checkFlags, type RunFlags } from '../run-options/run-flags.ts';
import type { Session } from '../session.ts';
import { stayWith } from '../terminal/foreground.ts';
import { outputsOf } from '../terminal/outputs.ts';
import { sizeOf } from '../terminal/raw-terminal.ts';
import { startFailure } from '../terminal/start-failure.ts';
import { type Input, openInput } from '../terminal/typed-input.ts';
import { UsageError } from '../usage-error.ts';

const ID_BYTES = 6;
/** For a node to remove what has ended: it does so at once, unless it is away. */
const REMOVAL_MS = 20_000;

export const define: Define = (command, session) => {
  command
    .argument('<image>', 'name, which may be short: redis is docker.io/library/redis:latest')
    .argument('[command...]', "in the place of the image's own; what follows is all the container's")
    .passThroughOptions();
  addRunFlags(command);
  command.action(
    session.action((image: string, args: string[], flags: RunFlags) => run(session, image, args, flags)),
  );
  examples(
    command,
    ['A shell that is gone afterwards', 'longshore run -it --rm alpine sh'],
    ['A server that is kept running', 'longshore run -d --name web --restart always --network host nginx'],
    [
      'Of a pipe, with limits',
      'zcat dump.gz | longshore run -i --rm --memory 512m --cpus 0.5 postgres:17 psql "$URL"',
    ],
    ['On one node of a fleet', 'longshore --context prod run --node n1 -d redis:7'],
  );
};

async function run(session: Session, name: string, args: string[], flags: RunFlags): Promise<void> {
  checkFlags(flags);
  const client = await session.client();
  if (!isOfNode(client)) {
    throw new UsageError(
      'run: a container needs a node',
      'Say which: --node ID; "longshore nodes" lists them.',
    );
  }
  const id = flags.name ?? randomBytes(ID_BYTES).toString('hex');
  const size = flags.tty ? sizeOf(session.host) : undefined;
  const parts = containerParts(flags, {
    id,
    args,
    env: session.host.env,
    isHere: client.isLocal,
    size,
    isRemovedByNode: isRemovedByNode(client, flags),
  });
  using undo = new DisposableStack();
  if (flags.cidfile) undo.use(newFile(flags.cidfile, id));
  const container = await asOurs(session, async () => {
    const { pull, platform, snapshotter, quiet } = flags;
    const wish = { name, pull, platform, snapshotter, isQuiet: quiet === true };
    const image = await imageToRun(session, client, wish);
    return client.newContainer(id, ...parts(image), { signal: session.interrupted });
  });
  session.keepSignals();
  const start = async (task: Task) => {
    await task.start();
    undo.move();
  };
  if (flags.detach) await startDetached(session, container, flags, start);
  else await runHere(session, client, container, flags, start);
}

type Start = (task: Task) => Promise<void>;

async function startDetached(
  session: Session,
  container: Container,
  { tty }: RunFlags,
  start: Start,
): Promise<void> {
  await orRemove(container, async () => {
    await start(await container.newTask(keptIo({ terminal: tty === true, stdin: tty === true })));
  });
  session.line(container.id);
}

async function runHere(
  session: Session,
  client: Client,
  container: Container,
  flags: RunFlags,
  start: Start,
): Promise<void> {
  const { interactive = false, tty = false, detachKeys, sigProxy, rm } = flags;
  const { host } = session;
  using stack = new DisposableStack();
  const { task, input } = await orRemove(container, async () => {
    const opened = stack.use(openInput(host, { interactive, terminal: tty, detachKeys }));
    const made = await newTask(client, container, opened, flags, session);
    return { task: made, input: opened };
  });
  const status = await stayWith(task, {
    host,
    terminal: tty,
    forwardsSignals: sigProxy && !tty,
    detached: input.detached,
    start: () => orRemove(container, () => start(task)),
  });
  if (!status) {
    task.io?.close();
    session.note(`\r\nlongshore: let go of ${container.id}; "longshore attach ${container.id}" comes back`);
    return;
  }
  session.exitCode = status.code;
  if (!rm) return;
  if (isRemovedByNode(client, flags)) return untilRemoved(session, container);
  await task.delete();
  await container.delete({ snapshot: true });
}

/** With --rm its node removes it, unless its streams come here straight: then nobody can let go of it. */
function isRemovedByNode(client: Client, { rm, detach, interactive, tty }: RunFlags): boolean {
  const isPassing = client.isLocal && !detach && !(interactive && tty);
  return rm === true && !isPassing;
}

/** Its name is free when this command has ended. */
async function untilRemoved(session: Session, container: Container): Promise<void> {
  const deadline = performance.now() + REMOVAL_MS;
  for (let pauseMs = 5; performance.now() < deadline; pauseMs = Math.min(2 * pauseMs, 500)) {
    if (!(await ifThere(container.info()))) return;
    await delay(pauseMs);
  }
  session.note(`longshore: ${container.id} has ended; its node has still to remove it`);
}

/**
 * A container that stays, or that can be let go of, has a log which its node keeps. One that is gone after its end needs none: on the node's
 * own machine its streams come here straight.
 */
async function newTask(
  client: Client,
  container: Container,
  input: Input,
  flags: RunFlags,
  { host }: Session,
): Promise<Task> {
  const { rm, tty: terminal = false, interactive = false } = flags;
  const io = streams({ stdin: input.stream, ...outputsOf(host), terminal });
  const isPassing = rm && !isRemovedByNode(client, flags);
  if (!client.isLocal || isPassing) return container.newTask(io);
  await container.newTask(keptIo({ stdin: interactive, terminal }));
  return container.task({ io, withLog: true });
}

/** A container that never ran is no use to anyone. */
async function orRemove<T>(container: Container, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await container[Symbol.asyncDispose]().catch(() => undefined);
    throw startFailure(error);
  }
}

/** What fails before there is a process is longshore's failure, not the program's. */
async function asOurs<T>(session: Session, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof UsageError) throw error;
    const exitCode = session.interrupted.aborted ? session.exitCode : ExitCode.Longshore;
    throw Object.assign(error, { exitCode });
  }
}

/** Throws UsageError for one that is there already. Disposed of, it is gone. */
function newFile(path: string, text: string): Disposable {
  try {
    writeFileSync(path, text, { flag: 'wx' });
  } catch (error) {
    throw new UsageError(`--cidfile "${path}": ${messageOf(error)}`);
  }
  return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
}
