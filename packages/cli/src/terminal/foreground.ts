import type { ExitStatus, Process } from '@longshore/client';
import { isKind, messageOf } from '@longshore/errors';
import type { Host } from '../host.ts';
import { sizeOf } from './raw-terminal.ts';

/** What a person, or a supervisor, sends to a command and means for what it runs. */
const FORWARDED: readonly NodeJS.Signals[] = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGCONT',
];

export interface ForegroundOptions {
  host: Host;
  /** It has a terminal: its size follows that of this side's. */
  terminal: boolean;
  /** Signals that this command gets are its. */
  forwardsSignals: boolean;
  /** Resolves when it is to be let go of. */
  detached?: Promise<void> | undefined;
  /** Lets it run, if it does not yet. Signals that come before it does are handed on then. */
  start?(): Promise<void>;
}

/** Stays with a process until it has exited and all its output is here, or until it is let go of, which is undefined. */
export async function stayWith(
  process: Process,
  options: ForegroundOptions,
): Promise<ExitStatus | undefined> {
  const { host, terminal, forwardsSignals, detached } = options;
  using stack = new DisposableStack();
  const started = Promise.withResolvers<void>();
  if (forwardsSignals) stack.defer(forwardSignals(process, host, started.promise));
  await options.start?.();
  started.resolve();
  if (terminal) stack.defer(followSize(process, host));
  const end = process.wait().then(async (status) => {
    await process.io?.outputEnded;
    return status;
  });
  end.catch(() => undefined);
  // Until then, not until the promise is there.
  return await Promise.race([end, ...(detached ? [detached.then(() => undefined)] : [])]);
}

/** Answers what ends it. */
function followSize(process: Process, host: Host): () => void {
  const resize = () => {
    const size = sizeOf(host);
    // One that has just ended has no size.
    if (size) process.resize(size.columns, size.rows).catch(() => undefined);
  };
  resize();
  host.signals.on('SIGWINCH', resize);
  return () => void host.signals.off('SIGWINCH', resize);
}

function forwardSignals(process: Process, host: Host, started: Promise<void>): () => void {
  const forward = async (signal: NodeJS.Signals) => {
    await started;
    try {
      await process.kill(signal);
    } catch (error) {
      // It has just ended.
      if (isKind(error, 'NotFound', 'FailedPrecondition')) return;
      host.stderr.write(`longshore: ${signal} could not be handed on: ${messageOf(error)}\n`);
    }
  };
  const onSignal = (signal: NodeJS.Signals) => void forward(signal);
  for (const signal of FORWARDED) host.signals.on(signal, onSignal);
  return () => {
    for (const signal of FORWARDED) host.signals.off(signal, onSignal);
  };
}
