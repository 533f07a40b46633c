import { spawn } from 'node:child_process';
import { failedPrecondition } from '@longshore/errors';

/** Longer than a person takes to touch a key. */
const TIMEOUT_MS = 120_000;
const MAX_ANSWER_BYTES = 1024 ** 2;

/**
 * Asks a program that keeps credentials for Docker, `docker-credential-<name>`: its answer, and undefined when it has none.
 * Source: docker/docker-credential-helpers client/command.go, credentials/error.go.
 */
export async function askHelper(
  name: string,
  verb: 'get' | 'store' | 'erase',
  input: string,
): Promise<string | undefined> {
  const program = `docker-credential-${name}`;
  if (!/^[A-Za-z0-9._-]+$/.test(name))
    throw failedPrecondition(`credential helper "${name}": no name of one`);
  const child = spawn(program, [verb], { stdio: ['pipe', 'pipe', 'inherit'], timeout: TIMEOUT_MS });
  // One that ends without reading says why by its answer.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.on('error', reject).on('close', resolve);
  const [answer, code] = await Promise.all([read(child.stdout), promise]).catch((error: unknown) => {
    throw failedPrecondition(`credential helper ${program}: ${(error as Error).message}`, { cause: error });
  });
  if (code === 0) return answer;
  if (/credentials not found/.test(answer)) return undefined;
  throw failedPrecondition(`credential helper ${program}: ${answer.trim() || `ended with ${code}`}`);
}

async function read(stream: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of stream) {
    length += part.length;
    if (length > MAX_ANSWER_BYTES) throw new Error('its answer is too long');
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}
