import { invalidArgument, messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type {
  AttachRequest,
  AttachStart,
  ExecRequest,
  ExecStart,
} from '@longshore/proto/longshore/node/v1/stdio';
import type { KeptOutput } from '../stdio/kept-output.ts';
import type { RemoteExec } from '../stdio/remote-exec.ts';
import type { Task } from '../tasks/task.ts';

type Message = AttachRequest['message'] | ExecRequest['message'];
type Inputs<R extends { message: Message }> = AsyncIterator<R>;
type StartOf<R extends { message: Message }> = Extract<R['message'], { case: 'start' }>['value'];

/** Takes the first message of a call, which names the process. Throws InvalidArgument for another. */
export async function startOf<R extends { message: Message }>(
  requests: AsyncIterable<R>,
): Promise<{ start: StartOf<R>; inputs: Inputs<R> }> {
  const inputs = requests[Symbol.asyncIterator]();
  const first = await inputs.next();
  if (first.done || first.value.message.case !== 'start') {
    throw invalidArgument('first message must have start');
  }
  return { start: first.value.message.value as StartOf<R>, inputs };
}

export interface AttachInput {
  inputs: Inputs<AttachRequest>;
  start: AttachStart;
  task: Task;
  output: KeptOutput;
  detach(): void;
  log: Logger;
}

/** Passes a caller's input on, until it ends or detaches. The end of its messages is not the end of the standard input. */
export async function takeAttachInput({
  inputs,
  start,
  task,
  output,
  detach,
  log,
}: AttachInput): Promise<void> {
  const stdin = start.stdin ? output.stdin : undefined;
  const closeStdin = async () => {
    await stdin?.end();
    if (stdin) await task.call('closeIO', { stdin: true });
  };
  await takeEach(inputs, log, async ({ message }) => {
    switch (message.case) {
      case 'stdin':
        return stdin?.write(message.value);
      case 'stdinClosed':
        return unawaited(log, closeStdin());
      case 'resize':
        await task.call('resizePty', { width: message.value.width, height: message.value.height });
        return;
      case 'detach':
        return detach();
      default:
        return;
    }
  });
}

export interface ExecInput {
  inputs: Inputs<ExecRequest>;
  start: ExecStart;
  exec: RemoteExec;
  log: Logger;
}

/** Passes a caller's input on; the end of its messages is that of the standard input. */
export async function takeExecInput({ inputs, start, exec, log }: ExecInput): Promise<void> {
  await takeEach(inputs, log, async ({ message }) => {
    switch (message.case) {
      case 'stdin':
        return exec.stdin?.write(message.value);
      case 'stdinClosed':
        return unawaited(log, exec.closeStdin());
      case 'resize':
        return exec.resize(message.value);
      case 'signal':
        return exec.kill(message.value);
      default:
        return;
    }
  });
  if (start.stdin) unawaited(log, exec.closeStdin());
}

/** What cannot be done, e.g. for a process that has just ended, does not end the call. Never rejects. */
async function takeEach<R>(
  inputs: AsyncIterator<R>,
  log: Logger,
  take: (request: R) => Promise<void> | void,
): Promise<void> {
  try {
    for (let next = await inputs.next(); !next.done; next = await inputs.next()) {
      await Promise.resolve(take(next.value)).catch((error) => debug(log, error));
    }
  } catch (error) {
    // The caller has left, of which the call hears by itself.
    debug(log, error);
  }
}

/** What a process does not read must not keep its caller from leaving, or from ending it. */
function unawaited(log: Logger, closing: Promise<void>): void {
  closing.catch((error) => debug(log, error));
}

function debug(log: Logger, error: unknown): void {
  log.debug({ error: messageOf(error) }, 'input of process cannot be taken');
}
