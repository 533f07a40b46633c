import { randomBytes } from 'node:crypto';
import { type Readable, Writable } from 'node:stream';
import { type Container, streams } from '@longshore/client';
import { failedPrecondition } from '@longshore/errors';
import { startFailure } from '../terminal/start-failure.ts';

const MAX_WORDS_BYTES = 4_096;

export interface TarStreams {
  stdin?: Readable | undefined;
  stdout?: Writable | undefined;
}

/** Runs a program in a container, and answers its exit code and what it had to say. Throws FailedPrecondition where it is not there. */
export async function runInside(
  container: Container,
  args: readonly string[],
  { stdin, stdout }: TarStreams = {},
): Promise<{ code: number; words: string }> {
  const words = new Words();
  const task = await container.task();
  const io = streams({ stdin, stdout, stderr: words });
  await using process = await task.exec(
    randomBytes(8).toString('hex'),
    await rootProcess(container, args),
    io,
  );
  const exit = process.wait();
  exit.catch(() => undefined);
  try {
    await process.start();
  } catch (error) {
    const problem = `container "${container.id}": copying needs the program ${args[0]} in it`;
    throw failedPrecondition(problem, { cause: startFailure(error) });
  }
  const { code } = await exit;
  await process.io?.outputEnded;
  return { code, words: words.text };
}

/** Throws FailedPrecondition with what tar says. */
export async function runTar(container: Container, args: readonly string[], io: TarStreams): Promise<void> {
  const { code, words } = await runInside(container, ['tar', ...args], io);
  if (code !== 0)
    throw failedPrecondition(`container "${container.id}": ${words || `tar ended with ${code}`}`);
}

/** Files belong to whoever they belong to: copies are root's work, whomever the container runs as. */
async function rootProcess(container: Container, args: readonly string[]) {
  return { ...(await container.processSpec(args)), user: { uid: 0, gid: 0 }, cwd: '/' };
}

/** The beginning of what a program says. */
class Words extends Writable {
  #said = '';

  get text(): string {
    return this.#said.trim();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    if (this.#said.length < MAX_WORDS_BYTES) this.#said = `${this.#said}${chunk}`.slice(0, MAX_WORDS_BYTES);
    done();
  }
}
