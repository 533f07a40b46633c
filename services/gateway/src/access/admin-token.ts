import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { failedPrecondition } from '@longshore/errors';

const TOKEN_BYTES = 32;

/** The token of a file on this machine, which may do everything: for the first bindings, and for when nobody else may. */
export class AdminToken {
  readonly #hash: Buffer;

  private constructor(token: string) {
    this.#hash = hashOf(token);
  }

  /**
   * Reads the token from its file, which it makes when there is none (0600). Processes that start together agree on
   * one. Throws FailedPrecondition for a file without a token.
   */
  static load(path: string): AdminToken {
    const token = read(path) ?? make(path);
    if (token === '') throw failedPrecondition(`token file ${JSON.stringify(path)}: it is empty`);
    return new AdminToken(token);
  }

  /** Compares in a time that does not depend on where the two differ. */
  matches(presented: string): boolean {
    return timingSafeEqual(hashOf(presented), this.#hash);
  }
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The file appears whole or not at all; who comes second takes the first one's. */
function make(path: string): string {
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${randomBytes(TOKEN_BYTES).toString('base64url')}\n`, { mode: 0o600 });
  try {
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft);
  }
  return readFileSync(path, 'utf8').trim();
}
