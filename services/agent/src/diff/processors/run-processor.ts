import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { failedPrecondition, messageOf } from '@longshore/errors';
import type { ProcessorStep } from './stream-processor.ts';

export interface ProcessorRun {
  step: ProcessorStep;
  input: AsyncIterable<Buffer>;
  /** Its parameters, which it reads from descriptor 3; undefined for none. */
  payload: Uint8Array | undefined;
  env: NodeJS.ProcessEnv;
  /** Once it aborts, the program and what it has started are killed. */
  signal: AbortSignal;
  /** Given what is under way, and settles also when nobody reads on: once the input has ended, and the program. */
  onStarted(ended: Promise<unknown>): void;
}

/** The last of what a program says before it fails tells why. */
const KEPT_STDERR_CHARACTERS = 4096;

/**
 * Runs a stream processor on a layer: what it writes. It is started when the first chunk is asked for. Its end only
 * follows when it has exited with 0: throws FailedPrecondition with what it said on its standard error otherwise, and
 * what `input` throws. Source: containerd core/diff/stream_unix.go.
 */
export async function* runProcessor(run: ProcessorRun): AsyncGenerator<Buffer> {
  const { step, signal } = run;
  signal.throwIfAborted();
  const child = start(run);
  const exited = once(child, 'exit') as Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  const subject = `stream processor "${step.processor.id}"`;
  exited.catch(() => {});
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-KEPT_STDERR_CHARACTERS);
  });
  const kill = () => killGroup(child);
  signal.addEventListener('abort', kill);
  const broken = feed(child, run);
  run.onStarted(Promise.allSettled([exited, broken]));
  try {
    // A program that cannot be started has an error, and no output.
    if (child.pid === undefined) await exited;
    yield* child.stdout as AsyncIterable<Buffer>;
    const [code, killedBy] = await exited;
    signal.throwIfAborted();
    const error = await broken;
    if (error) throw error.cause;
    if (code === 0) return;
    const how = code === null ? `killed by ${killedBy}` : `exit ${code}`;
    throw failedPrecondition(`${subject}: ${how}: ${stderr.trim() || 'it said nothing'}`);
  } catch (error) {
    if (child.pid !== undefined) throw error;
    throw failedPrecondition(`${subject}: ${messageOf(error)}`, { cause: error });
  } finally {
    kill();
    signal.removeEventListener('abort', kill);
  }
}

function start({ step, payload, env }: ProcessorRun): ChildProcess {
  const { path, args, env: more } = step.processor;
  const environment = {
    ...env,
    ...Object.fromEntries(more.map((pair) => [pair.split('=', 1)[0], pair.slice(pair.indexOf('=') + 1)])),
    STREAM_PROCESSOR_MEDIATYPE: step.mediaType,
  };
  // In a group of its own, so that what it starts can be ended with it.
  return spawn(path, [...args], {
    env: environment,
    detached: true,
    stdio: payload ? ['pipe', 'pipe', 'pipe', 'pipe'] : ['pipe', 'pipe', 'pipe'],
  });
}

/** Resolves with what the input failed of; a program need not read all that it is given. */
async function feed(
  child: ChildProcess,
  { input, payload }: ProcessorRun,
): Promise<{ cause: unknown } | undefined> {
  const parameters = child.stdio[3] as Writable | undefined;
  parameters?.on('error', () => {}).end(payload);
  let failed: { cause: unknown } | undefined;
  async function* watched(): AsyncGenerator<Buffer> {
    try {
      yield* input;
    } catch (cause) {
      failed = { cause };
      throw cause;
    }
  }
  try {
    await pipeline(Readable.from(watched()), child.stdin!);
  } catch {
    // It has stopped reading, or is to get no end of input for what was cut.
    if (failed) killGroup(child);
  }
  return failed;
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // All of it has ended.
  }
}
