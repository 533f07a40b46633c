import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { ExitCode } from './exit-code.ts';
import type { Host } from './host.ts';
import { UsageError } from './usage-error.ts';

/** Asks the person at the terminal. Throws UsageError when there is none. */
export async function ask(host: Host, question: string): Promise<string> {
  return answerTo(host, question, host.stderr);
}

/** What is typed does not show. */
export async function askSecretly(host: Host, question: string): Promise<string> {
  const dark = new Writable({ write: (_chunk, _encoding, done) => done() });
  host.stderr.write(question);
  const answer = await answerTo(host, '', dark);
  host.stderr.write('\n');
  return answer;
}

/** Standard input, whole, without the line's end that most programs write. */
export async function readAllInput({ stdin }: Pick<Host, 'stdin'>): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stdin) parts.push(Buffer.from(part));
  return Buffer.concat(parts)
    .toString()
    .replace(/\r?\n$/, '');
}

async function answerTo({ stdin }: Host, question: string, output: unknown): Promise<string> {
  if (!stdin.isTTY)
    throw new UsageError('standard input is no terminal to ask at', 'Use --username and --password-stdin.');
  const asking = createInterface({ input: stdin, output: output as NodeJS.WritableStream, terminal: true });
  const interrupted = new AbortController();
  asking.on('SIGINT', () => interrupted.abort());
  try {
    return await asking.question(question, { signal: interrupted.signal });
  } catch {
    throw Object.assign(new Error('not answered'), { exitCode: ExitCode.Failure });
  } finally {
    asking.close();
  }
}
